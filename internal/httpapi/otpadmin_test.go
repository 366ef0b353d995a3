package httpapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/otp"
)

var lockPhone = store.SQL(`INSERT INTO code_phones (phone_key, failures, locked_at, changed_at) VALUES (?1, 100, ?2, ?2)`)

func codesConfig() otp.Config {
	return otp.Config{Number: loja, Countries: []string{"BR"}, RequireClientIP: true, MaxSends: 1000, MuteFor: time.Hour, Limits: otp.DefaultLimits(),
		Fallback: otp.Fallback{Mode: "off", Share: 0.2, PerDay: 2},
		Purposes: map[string]otp.Purpose{"login": {Template: "codigo_acesso", Languages: []string{"pt_BR"}, Digits: 6, TTL: 10 * time.Minute}}}
}

// codes gives the house one-time codes.
func (h *house) codes(cfg otp.Config) (*otp.OTP, string) {
	h.t.Helper()
	file := filepath.Join(h.dir, "otp.key")
	keys, err := otp.OpenKeyring(file)
	if err != nil {
		h.t.Fatal(err)
	}
	codes, err := otp.New(cfg, otp.Deps{DB: h.db, Keys: keys, Outcomes: h.server.cfg.Outcomes, Log: slog.New(slog.NewTextHandler(&h.log, nil))})
	if err != nil {
		h.t.Fatal(err)
	}
	h.server.cfg.OTP = codes
	return codes, file
}

func TestNoCodesAreConfigured(t *testing.T) {
	h := newHouse(t)
	for _, err := range []error{second(h.client.Doctor(t.Context())), second(h.client.Unlock(t.Context(), ana)), second(h.client.RotateKey(t.Context()))} {
		wantProblem(t, err, http.StatusConflict, CodeRefused, "[otp.purposes.login]")
	}
	if _, err := os.Stat(filepath.Join(h.dir, "otp.key")); err == nil {
		t.Error("a key file was made for nobody")
	}
}

var putCodeTemplate = store.SQL(`INSERT INTO templates (waba_id, name, language, category, status, components, hash, ttl_seconds, missing, seen_at, changed_at)
	VALUES (?1, 'codigo_acesso', ?2, 'authentication', ?3, '[{"type":"BODY"},{"type":"FOOTER","code_expiration_minutes":5},{"type":"BUTTONS","buttons":[{"type":"OTP","otp_type":"COPY_CODE"}]}]', 'h', 300, 0, 1, 1)`)

// Doctor reads the configuration that runs, and what Meta last said.
func TestDoctor(t *testing.T) {
	h := newHouse(t)
	cfg := codesConfig()
	h.codes(cfg)
	codesOf := func(r OTPReport) (out []string) {
		for _, f := range r.Findings {
			out = append(out, f.Level+" "+f.Code+" "+f.Where)
		}
		return out
	}
	report := func() OTPReport {
		r, err := h.client.Doctor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if diff := cmp.Diff([]string{"error template_unknown otp.purposes.login.template"}, codesOf(report())); diff != "" {
		t.Errorf("nothing is known of any template: %s", diff)
	}
	h.write(func(tx *store.Tx) error { return tx.One(putCodeTemplate, waba, "pt_BR", "APPROVED") })
	r := report()
	if r.Findings == nil || len(r.Findings) > 0 {
		t.Errorf("a sound configuration: %+v", r.Findings)
	}
	if len(r.Purposes) != 1 || r.Purposes[0].Untrusted.Guesses != 15 || r.Purposes[0].Untrusted.Day < 1.49e-5 || r.Purposes[0].Untrusted.Day > 1.51e-5 {
		t.Errorf("the bound of guesses: %+v", r.Purposes)
	}
	if r.Cost.SendsPerDay != 1000 || r.Cost.Left != 1000 || len(r.Sends) == 0 || r.Weakest == "" {
		t.Errorf("the bound of a day: %+v, %+v, %q", r.Cost, r.Sends, r.Weakest)
	}
	login := cfg.Purposes["login"]
	login.Languages = []string{"pt_BR", "en_US"}
	cfg.Purposes["login"], cfg.RequireClientIP = login, false
	h.write(func(tx *store.Tx) error { return tx.One(putCodeTemplate, waba, "en_US", "PAUSED") })
	h.codes(cfg)
	if diff := cmp.Diff([]string{"error template_status otp.purposes.login.template", "warning client_ip otp.require_client_ip"}, codesOf(report())); diff != "" {
		t.Error(diff)
	}
}

// A phone is opened by its number as people write it, and nobody repeats it.
func TestUnlock(t *testing.T) {
	h := newHouse(t)
	codes, _ := h.codes(codesConfig())
	key := codes.MAC("phone", []byte(whatsapp.MatchKey(whatsapp.Phone(ana).Identity())))
	h.write(func(tx *store.Tx) error { return tx.One(lockPhone, key, store.Millis(tx.Now())) })
	for i, c := range []struct {
		phone   string
		changed bool
	}{{bia, false}, {"11 90000-0001", true}, {ana, false}} {
		out, err := h.client.Unlock(t.Context(), c.phone)
		if err != nil || out.Changed != c.changed || strings.Contains(out.Phone, "000") {
			t.Errorf("%d: %+v, %v", i, out, err)
		}
	}
	audit, err := h.client.Audit(t.Context(), 10)
	if err != nil || len(audit) != 1 || audit[0].Command != "otp unlock" || audit[0].Actor != "maria" || strings.Contains(fmt.Sprint(audit), ana[5:]) {
		t.Errorf("the audit log tells %+v, %v", audit, err)
	}
	for _, phone := range []string{"", "banana", "12"} {
		_, err := h.client.Unlock(t.Context(), phone)
		wantProblem(t, err, http.StatusBadRequest, CodeInvalid, "")
	}
	for _, body := range []string{"", "[]", `{"number":"x"}`} {
		_, err := h.client.do(t.Context(), "POST", "/v1/otp/unlock", nil, strings.NewReader(body))
		wantProblem(t, err, http.StatusBadRequest, CodeInvalid, "")
	}
}

func TestRotateKey(t *testing.T) {
	h := newHouse(t)
	codes, file := h.codes(codesConfig())
	mac := codes.MAC("phone", []byte("x"))
	kids := func() (out []string) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(b), "\n") {
			if name, key, ok := strings.Cut(line, " "); ok && len(key) == 64 {
				out = append(out, name)
			}
		}
		return out
	}
	before := kids()
	out, err := h.client.RotateKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	after := kids()
	if want := fmt.Sprint([]string{before[0], out.Key, before[1]}); fmt.Sprint(after) != want {
		t.Errorf("the file has %v, want %s", after, want)
	}
	if codes.MAC("phone", []byte("x")) != mac {
		t.Error("the index key rotated too: every limit and lock is forgotten")
	}
	audit, err := h.client.Audit(t.Context(), 10)
	if err != nil || len(audit) != 1 || audit[0].Command != "otp rotate-key" || audit[0].Before != before[1] || audit[0].After != out.Key {
		t.Errorf("the audit log tells %+v, %v", audit, err)
	}

	// A file that others can read is not rotated, and nothing is noted.
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = h.client.RotateKey(t.Context())
	wantProblem(t, err, http.StatusInternalServerError, CodeInternal, "others can read")
	if audit, err = h.client.Audit(t.Context(), 10); err != nil || len(audit) != 1 {
		t.Errorf("the audit log tells %+v, %v", audit, err)
	}
	if log := h.log.String(); !strings.Contains(log, "POST /v1/otp/keys/rotate") {
		t.Errorf("the log is %s", log)
	}
}
