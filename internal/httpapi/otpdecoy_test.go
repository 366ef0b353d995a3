package httpapi

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/otp"
)

func decoyFor(to string) string { return strings.Replace(requestFor(to), `{`, `{"decoy":true,`, 1) }

// everyID is what differs between any two requests: ids, their hashes, times of
// the server's own clock.
var everyID = regexp.MustCompile(`otp_[a-z2-7]{26}|"instance":"[A-Z2-7]{26}"`)

// plain is an answer without them; the headers are sorted.
func (a told) plain() string {
	var out []string
	for name, values := range a.header {
		if name != "Date" && name != "X-Request-Id" && name != "Etag" {
			out = append(out, name+": "+everyID.ReplaceAllString(strings.Join(values, ", "), "#"))
		}
	}
	slices.Sort(out)
	return fmt.Sprint(a.status, "\n", strings.Join(out, "\n"), "\n", everyID.ReplaceAllString(string(a.body), "#"))
}

// Whatever is asked of a decoy by HTTP is answered as of a real challenge, byte
// for byte: status, headers, length and body, but for ids and the hour.
func TestDecoyAnswersAreTheSame(t *testing.T) {
	limits := otp.DefaultLimits()
	var lives [2][]string
	for i, request := range []func(string) string{requestFor, decoyFor} {
		d := newDesk(t, limits, nil).open()
		to := "+5511900000123"
		d.agreed(to)
		ask := func(method, path, client, body string, header ...string) told {
			a := d.ask(method, path, client, body, header...)
			lives[i] = append(lives[i], method+" "+everyID.ReplaceAllString(path, "#")+" "+a.plain())
			if a.status == http.StatusAccepted {
				d.claim() // as dispatch does at once; a decoy is claimed in thought
				d.advance(50 * time.Millisecond)
			}
			return a
		}
		key := unique()
		first := ask("POST", "/v1/otp", "app", request(to), "Idempotency-Key", key)
		path := "/v1/otp/" + first.want(t, 202).ID
		wrong := guess("000000")
		if i == 0 {
			wrong = guess(other(d.code(path[len("/v1/otp/"):]), 1))
		}
		ask("POST", "/v1/otp", "app", request(to), "Idempotency-Key", key)      // again
		ask("POST", "/v1/otp", "app", request(to), "Idempotency-Key", unique()) // too soon
		ask("POST", "/v1/otp", "shop", request(to), "Idempotency-Key", unique())
		ask("GET", path, "app", "")
		ask("GET", path, "shop", "")
		ask("POST", path+"/verify", "app", `{"code":"12"}`)
		ask("POST", path+"/verify", "shop", wrong)
		ask("POST", path+"/verify", "app", `{"code":"123456","binding":"mine"}`)
		again := unique()
		ask("POST", path+"/verify", "app", wrong, "Idempotency-Key", again)
		ask("POST", path+"/verify", "app", wrong, "Idempotency-Key", again)
		ask("POST", path+"/resend", "app", "", "Idempotency-Key", unique())
		d.advance(30 * time.Second)
		ask("POST", path+"/resend", "app", "", "Idempotency-Key", unique())
		for range 6 {
			ask("POST", path+"/verify", "app", wrong)
		}
		ask("GET", path, "app", "")
		ask("POST", path+"/resend", "app", "", "Idempotency-Key", unique())
		ask("POST", path+"/cancel", "app", "")
		for range 4 {
			d.advance(2 * time.Minute)
			a := ask("POST", "/v1/otp", "app", request(to), "Idempotency-Key", unique())
			if a.status == http.StatusAccepted {
				var r codeReply
				if err := json.Unmarshal(a.body, &r); err != nil {
					t.Fatal(err)
				}
				for range 6 {
					ask("POST", "/v1/otp/"+r.ID+"/verify", "app", guess("000000"))
				}
			}
		}
	}
	if diff := cmp.Diff(lives[0], lives[1]); diff != "" {
		t.Errorf("- real, + decoy:\n%s", diff)
	}
	for _, code := range []string{"202", "400", "404", "410", "422", "429"} {
		if !slices.ContainsFunc(lives[0], func(a string) bool { return strings.Contains(a, " "+code+"\n") }) {
			t.Errorf("no answer was %s", code)
		}
	}
}

// Who waits for news of a decoy gets them, one after the other.
func TestDecoysBringNews(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		a, took := d.here(t.Context(), "POST", "/v1/otp", decoyFor(d.phone()), "Idempotency-Key", unique(), "Prefer", "wait=10")
		r := a.want(t, 202)
		if r.Delivery.State == "queued" || took > 5*time.Second {
			t.Errorf("%s after %s", r.Delivery.State, took)
		}
		states := []string{r.Delivery.State}
		for begun := time.Now(); states[len(states)-1] != "delivered" && time.Since(begun) < 3*time.Minute; {
			a, took := d.here(t.Context(), "GET", "/v1/otp/"+r.ID, "", "Prefer", "wait=30")
			next := a.want(t, 200).Delivery.State
			if changed := next != states[len(states)-1]; took == 0 || took < 30*time.Second != changed {
				t.Fatalf("after %s it is %s, it was %s", took, next, states[len(states)-1])
			}
			states = append(states, next)
		}
		states = slices.DeleteFunc(slices.Compact(states), func(s string) bool { return s == "delayed" })
		order := []string{"accepted", "sent", "delivered"}
		for _, s := range states {
			i := slices.Index(order, s)
			if i < 0 {
				t.Fatalf("%v", states)
			}
			order = order[i+1:]
		}
	})
}

// BenchmarkDecoy asks for real codes and decoys by turns over HTTP, and compares
// how long the answers take: the medians, the largest distance of the two
// distributions, and how likely such a one is by chance.
func BenchmarkDecoy(b *testing.B) {
	d := newDesk(b, unlimited(), time.Now).open()
	numbers := make([]string, 20_000)
	for i := range numbers {
		numbers[i] = d.phone()
	}
	for some := range slices.Chunk(numbers, 500) {
		d.agreed(some...)
	}
	var took [2][]float64
	for n := 0; b.Loop(); n++ {
		for i, request := range []func(string) string{requestFor, decoyFor} {
			if n%2 == 1 { // neither is always the first
				i, request = 1-i, []func(string) string{decoyFor, requestFor}[i]
			}
			k := 2*n + i
			body, key := request(numbers[k%len(numbers)]), unique()
			body = strings.Replace(body, "203.0.113.7", fmt.Sprintf("2001:db8:%x::1", k%60_000), 1)
			start := time.Now()
			a := d.ask("POST", "/v1/otp", "app", body, "Idempotency-Key", key)
			took[i] = append(took[i], time.Since(start).Seconds())
			a.want(b, 202)
		}
		d.told = nil
	}
	for i := range took {
		slices.Sort(took[i])
	}
	distance := 0.0
	for i, x := range took[0] {
		j, _ := slices.BinarySearch(took[1], x)
		distance = max(distance, math.Abs(float64(i)/float64(len(took[0]))-float64(j)/float64(len(took[1]))))
	}
	n := math.Sqrt(float64(len(took[0])) / 2)
	lambda := (n + 0.12 + 0.11/n) * distance
	b.ReportMetric(took[0][len(took[0])/2]*1e6, "real-µs")
	b.ReportMetric(took[1][len(took[1])/2]*1e6, "decoy-µs")
	b.ReportMetric(distance, "distance")
	b.ReportMetric(min(1, 2*math.Exp(-2*lambda*lambda)), "p")
}
