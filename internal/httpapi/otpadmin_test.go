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
	for _, err := range []error{second(h.client.Unlock(t.Context(), ana)), second(h.client.RotateKey(t.Context()))} {
		wantProblem(t, err, http.StatusConflict, CodeRefused, "[otp.purposes.login]")
	}
	if _, err := os.Stat(filepath.Join(h.dir, "otp.key")); err == nil {
		t.Error("a key file was made for nobody")
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
