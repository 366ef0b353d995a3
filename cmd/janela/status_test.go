package main

import (
	"strings"
	"testing"

	"janela/internal/httpapi"
)

// The messaging limit is told where one is known.
func TestStatusTellsTheMessagingLimit(t *testing.T) {
	var with, without strings.Builder
	st := httpapi.Status{Health: &httpapi.Health{Ready: true}, Messages: map[string]int64{"read": 2}}
	if err := showStatus(&without, st); err != nil || strings.Contains(without.String(), "reached") || !strings.Contains(without.String(), "messages       read 2\n") {
		t.Errorf("%v\n%s", err, without.String())
	}
	st.MessagingLimit = &httpapi.MessagingLimit{Text: "2 of 1000 people in 24 hours; 200 are kept for codes"}
	if err := showStatus(&with, st); err != nil || !strings.Contains(with.String(), "\nreached        2 of 1000 people in 24 hours; 200 are kept for codes\n") {
		t.Errorf("%v\n%s", err, with.String())
	}
}
