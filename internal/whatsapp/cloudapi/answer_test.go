package cloudapi

import (
	"testing"

	"janela/internal/whatsapp"
)

// answersOfMeta are acceptances, and what is nearly one; usual says whether the
// short way may read it.
var answersOfMeta = []struct {
	body  string
	usual bool
}{
	{`{"messaging_product":"whatsapp","contacts":[{"input":"+551190000001","wa_id":"551190000001"}],"messages":[{"id":"wamid.A="}]}`, true},
	{`{"messaging_product":"whatsapp","contacts":[{"input":"+551190000001","wa_id":"551190000001","user_id":"BR.13"}],"messages":[{"id":"wamid.A","message_status":"accepted"}]}`, true},
	{"\n{ \"messages\" : [ { \"message_status\":\"held_for_quality_assessment\",\r\n\t\"id\":\"wamid.B\" } ] , \"contacts\":[{}]}\n", true},
	{`{"messages":[{"id":"wamid.C","message_status":"paused"}]}`, true},
	{`{"contacts":[{"wa_id":551190000001}],"messages":[{"id":"wamid.D"}]}`, false},
	{`{"contacts":null,"messages":[{"id":"wamid.E"}]}`, false},
	{`{"contacts":[],"messages":[{"id":"wamid.F"}]}`, false},
	{`{"messages":[{"id":"wamid.G"},{"id":"wamid.H"}]}`, false},
	{`{"messages":[{"id":"wamid.\u0049"}]}`, false},
	{`{"messages":[{"id":"wamid.ç"}]}`, false},
	{`{"messages":[{"id":"wamid.J"}],"messages":[{"id":"wamid.K"}]}`, false},
	{`{"messages":[{"id":"wamid.L","id":"wamid.M"}]}`, false},
	{`{"Messages":[{"id":"wamid.N"}]}`, false},
	{`{"messages":[{"id":"wamid.O","group_id":"g"}]}`, false},
	{`{"messages":[{"id":"wamid.P"}],"error":{"code":131026,"type":"OAuthException"}}`, false},
	{`{"messages":[{"id":"wamid.Q"}],"\u0065rror":{"code":131026,"type":"OAuthException"}}`, false},
	{`{"error":{"code":131026,"type":"OAuthException"}}`, false},
	{`{"messages":[{"id":""}]}`, false},
	{`{"messages":[{"message_status":"accepted"}]}`, false},
	{`{"messages":[{"id":"wamid.R"}]}}`, false},
	{`{"messages":[{"id":"wamid.S"}]`, false},
	{`{"messages":[{"id":"wamid.T"}],}`, false},
	{`{,"messages":[{"id":"wamid.U"}]}`, false},
	{`[{"messages":[{"id":"wamid.V"}]}]`, false},
	{`{}`, false}, {``, false}, {`null`, false}, {`"`, false}, {`{"messages":[{"id":"wamid.W`, false},
	{"{\"messages\":[{\"id\":\"wamid.\x01\"}]}", false},
}

// checkScan compares the short way with the long one.
func checkScan(t *testing.T, body []byte) (usual bool) {
	t.Helper()
	a, ok := scanAnswer(body)
	if !ok {
		if a != (Answer{}) {
			t.Errorf("%q: it is not read, and yet says %#v", body, a)
		}
		return false
	}
	want, err := parseAnswer(body)
	if err != nil || a != want {
		t.Errorf("%q is read as %#v, want %#v, %v", body, a, want, err)
	}
	if _, graph := parseGraph(body); graph {
		t.Errorf("%q is an error", body)
	}
	return true
}

func TestScanAnswer(t *testing.T) {
	for _, a := range answersOfMeta {
		if usual := checkScan(t, []byte(a.body)); usual != a.usual {
			t.Errorf("%s: read the short way %t, want %t", a.body, usual, a.usual)
		}
	}
	got, ok := scanAnswer([]byte(answersOfMeta[1].body))
	if want := (Answer{Wamid: "wamid.A", WaID: "551190000001", UserID: "BR.13"}); !ok || got != want {
		t.Errorf("%#v, %t", got, ok)
	}
	if got, _ := scanAnswer([]byte(answersOfMeta[2].body)); !got.Held || got.Paused || got.Wamid != whatsapp.Wamid("wamid.B") {
		t.Errorf("%#v", got)
	}
}

// Whatever the short way reads, the long one reads the same.
func FuzzScanAnswer(f *testing.F) {
	for _, a := range answersOfMeta {
		f.Add([]byte(a.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) { checkScan(t, body) })
}

func BenchmarkAnswer(b *testing.B) {
	body := []byte(answersOfMeta[1].body)
	b.Run("short", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			scanAnswer(body)
		}
	})
	b.Run("long", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = parseAnswer(body)
			parseGraph(body)
		}
	})
}
