package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// busy is a profile in which everything happens to somebody.
func busy() Profile {
	p := Default()
	p.DuplicateWebhook, p.ReorderWebhook, p.OmitDelivered, p.NeverDelivered = 0.3, 0.3, 0.3, 0.1
	p.Undeliverable, p.MarketingCap, p.HeldChance = 0.1, 0.1, 0.1
	p.Posters = 1
	return p
}

func campaign(w *world, order []int) {
	for _, i := range order {
		w.must("POST", sendPath, oferta(fmt.Sprintf("+551190000%04d", i), fmt.Sprintf("j1.db.%d.1", i)))
	}
	time.Sleep(3 * time.Hour)
}

func upTo(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i + 1
	}
	return list
}

// TestSameTranscript runs the same campaign twice and expects the same bytes
// at the same instants.
func TestSameTranscript(t *testing.T) {
	run := func(seed int64) (out []received) {
		inBubble(t, func(c *Config) { c.Profile = busy(); c.Seed = seed }, func(w *world) {
			campaign(w, upTo(60))
			out = w.hook.all()
		})
		return out
	}
	first := run(7)
	if again := run(7); !reflect.DeepEqual(first, again) {
		t.Errorf("the second run differs:\n%s", cmp.Diff(first, again))
	}
	if reflect.DeepEqual(first, run(8)) {
		t.Error("another seed gave the same transcript")
	}
}

// TestOrderDoesNotMatter sends in two orders and at two times of day: each
// message has the same id and meets the same fate.
func TestOrderDoesNotMatter(t *testing.T) {
	run := func(order []int, at time.Duration) map[string]string {
		fates := map[string]string{}
		inBubble(t, func(c *Config) { c.Profile = busy() }, func(w *world) {
			time.Sleep(at)
			campaign(w, order)
			w.s.Each(func(one Send) bool {
				fates[one.Key] = fmt.Sprint(one.Wamid, one.Code, one.Held, w.hook.statuses(one.Key))
				return true
			})
		})
		return fates
	}
	forth := upTo(60)
	back := slices.Clone(forth)
	slices.Reverse(back)
	a, b := run(forth, 0), run(back, 7*time.Hour+123*time.Millisecond)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("fates differ:\n%s", diff)
	}
	var all strings.Builder
	for _, f := range a {
		all.WriteString(f)
	}
	for _, want := range []string{"[delivered sent", "sent sent", "failed 131026", "failed 131049", "[read sent", " true [", "[sent]"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("%q happened to nobody: the profile does not misbehave", want)
		}
	}
}

// TestRetries answers everything but 200 and expects the webhook again, less
// and less often.
func TestRetries(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		var mu sync.Mutex
		var at []time.Duration
		w.hook.answer = func(rw http.ResponseWriter, n int) {
			mu.Lock()
			at = append(at, time.Since(w.hook.begun).Round(time.Second))
			mu.Unlock()
			switch n {
			case 1:
				panic(http.ErrAbortHandler)
			case 2:
				rw.WriteHeader(http.StatusNoContent) // not 200 either
			case 3:
				http.Redirect(rw, &http.Request{Method: "POST"}, "http://hook.example/else", http.StatusTemporaryRedirect)
			case 4:
				time.Sleep(time.Minute) // longer than Meta waits
			}
		}
		if err := w.s.PostRaw([]byte("{}")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		// 1 s, 2 s, 4 s, and 20 s of patience before 8 s.
		want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 35 * time.Second}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("posted at (-want +got):\n%s", diff)
		}
		if n := w.s.Pending(); n != 0 {
			t.Errorf("%d pending", n)
		}
	})
	inBubble(t, nil, func(w *world) {
		w.hook.set(503)
		if err := w.s.PostRaw([]byte("{}")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * 24 * time.Hour)
		if w.s.Pending() != 1 {
			t.Error("given up before seven days")
		}
		time.Sleep(2 * 24 * time.Hour)
		if w.s.Pending() != 0 {
			t.Error("not given up after seven days")
		}
	})
}

func TestHoldAndBatch(t *testing.T) {
	inBubble(t, func(c *Config) { c.Profile.Batch = 25 }, func(w *world) {
		w.s.HoldWebhooks(true)
		for i := range 20 {
			path := "/v25.0/" + []string{numA, numB}[i%2] + "/messages"
			w.must("POST", path, oferta(ana, fmt.Sprint("k", i)))
		}
		time.Sleep(time.Hour)
		if n := len(w.hook.all()); n != 0 || w.s.Pending() != 60 {
			t.Errorf("%d posts while held, %d pending", n, w.s.Pending())
		}
		w.s.HoldWebhooks(false)
		synctest.Wait()
		var sizes [][]int
		for _, p := range w.hook.all() {
			var n struct {
				Entry []struct {
					Changes []struct{ Value messagesValue }
				}
			}
			if err := json.Unmarshal(p.Body, &n); err != nil {
				t.Fatal(err)
			}
			var size []int
			for _, c := range n.Entry[0].Changes {
				size = append(size, len(c.Value.Statuses))
			}
			sizes = append(sizes, size)
		}
		if diff := cmp.Diff([][]int{{13, 12}, {13, 12}, {5, 5}}, sizes); diff != "" {
			t.Errorf("statuses per number and post (-want +got):\n%s", diff)
		}
	})
}

// TestWindows follows one person: outside the window, inside, by an ad, after a
// stop.
func TestWindows(t *testing.T) {
	inBubble(t, func(c *Config) { c.Profile.BSUIDChance = 0 }, func(w *world) {
		say := func(in Inbound) {
			in.From, in.NumberID = ana, numA
			if _, err := w.s.Inbound(in); err != nil {
				t.Fatal(err)
			}
		}
		pref := func(value string) {
			if err := w.s.Preference(Preference{From: ana, Value: value}); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(key, want string) {
			t.Helper()
			time.Sleep(time.Minute)
			if got := strings.Join(w.hook.statuses(key), " "); got != want {
				t.Errorf("%s: %q, want %q", key, got, want)
			}
		}
		const all = "sent delivered read"
		w.must("POST", sendPath, text(ana, "before"))
		expect("before", "failed 131047")
		say(Inbound{Type: "reaction", Text: "👍"})
		w.must("POST", sendPath, text(ana, "reaction"))
		expect("reaction", "failed 131047")
		say(Inbound{Text: "oi"})
		w.must("POST", sendPath, text(ana, "inside"))
		w.must("POST", "/v25.0/"+numB+"/messages", text(ana, "other number"))
		expect("inside", all)
		expect("other number", "failed 131047")
		time.Sleep(24 * time.Hour)
		w.must("POST", sendPath, text(ana, "over"))
		expect("over", "failed 131047")

		pref("stop")
		w.must("POST", sendPath, oferta(ana, "stopped"))
		expect("stopped", "failed 131050")
		pref("resume")
		w.must("POST", sendPath, oferta(ana, "resumed"))
		expect("resumed", all)

		say(Inbound{Text: "vi o anúncio", Referral: true})
		w.must("POST", sendPath, text(ana, "ad"))
		expect("ad", all)
		w.must("POST", sendPath, oferta(ana, "in ad"))
		expect("in ad", all)
		time.Sleep(72 * time.Hour)
		w.must("POST", sendPath, oferta(ana, "after ad"))
		expect("after ad", all)
		free := map[string]bool{}
		for _, p := range w.hook.all() {
			for _, key := range []string{"resumed", "ad", "in ad", "after ad"} {
				if strings.Contains(string(p.Body), `"biz_opaque_callback_data":"`+key+`"`) && strings.Contains(string(p.Body), "referral_conversion") {
					free[key] = true
				}
			}
		}
		if diff := cmp.Diff(map[string]bool{"ad": true, "in ad": true}, free); diff != "" {
			t.Errorf("in the free entry point (-want +got):\n%s", diff)
		}

		// A person without a phone is the same person.
		id := bsuid(7, "5511900000001")
		w.must("POST", sendPath, strings.Replace(text(ana, "by id"), `"to":"`+ana+`"`, `"recipient":"`+id+`"`, 1))
		expect("by id", "failed 131047")
		say(Inbound{Text: "oi", BSUIDOnly: true})
		w.must("POST", sendPath, strings.Replace(text(ana, "by id 2"), `"to":"`+ana+`"`, `"recipient":"`+id+`"`, 1))
		expect("by id 2", all)
	})
}

// TestHeldAndPaused holds two messages; one template is paused meanwhile.
func TestHeldAndPaused(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		if _, err := w.s.AddFault(Fault{Kind: FaultHeld, Count: 2}); err != nil {
			t.Fatal(err)
		}
		w.must("POST", sendPath, oferta(ana, "good"))
		time.Sleep(11 * time.Minute)
		w.must("POST", sendPath, oferta(ana, "bad"))
		if err := w.s.SetTemplate(TemplateChange{Name: "oferta_natal", Language: "pt_BR", Status: "PAUSED"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		for key, want := range map[string]string{"good": "sent delivered read", "bad": "failed 132015"} {
			if got := strings.Join(w.hook.statuses(key), " "); got != want {
				t.Errorf("%s: %q, want %q", key, got, want)
			}
		}
		states := []string{}
		w.s.Each(func(one Send) bool { states = append(states, one.State); return true })
		if diff := cmp.Diff([]string{"read", "failed"}, states); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
	})
}

func TestUnsubscribed(t *testing.T) {
	inBubble(t, func(c *Config) { c.WABAs[0].Unsubscribed = true }, func(w *world) {
		w.must("POST", sendPath, oferta(ana, "lost"))
		time.Sleep(time.Minute)
		w.must("POST", "/v25.0/"+waba+"/subscribed_apps", "")
		w.must("POST", sendPath, oferta(ana, "kept"))
		time.Sleep(time.Minute)
		if a, b := len(w.hook.statuses("lost")), len(w.hook.statuses("kept")); a != 0 || b != 3 {
			t.Errorf("%d and %d statuses, want none before the subscription and 3 after", a, b)
		}
		w.must("DELETE", "/v25.0/"+waba+"/subscribed_apps", "")
		if got := w.must("GET", "/v25.0/"+waba+"/subscribed_apps", ""); got != `{"data":[]}` {
			t.Errorf("after DELETE: %s", got)
		}
	})
}
