package httpapi

import (
	"fmt"
	"time"

	"janela/campaigns"
	"janela/internal/account"
	"janela/internal/guard"
	"janela/internal/outbox"
	"janela/internal/store"
)

// mirrors says of a hold that only mirrors something else what that is, and what
// is to be changed in its place; nil of any other.
func mirrors(h outbox.Hold) *Problem {
	switch h.Reason {
	case reasonStopFile:
		return refused(CodeRefused, "the file STOP in the campaigns folder holds marketing").hint("remove the file")
	case reasonPaused, campaigns.ReasonGuardFailed, campaigns.ReasonGuardBlocked, campaigns.ReasonGuardQuality:
		return refused(CodeRefused, "the campaign %s is paused", h.Target).hint("janela campaigns resume %s", h.Target)
	case guard.ReasonRestored:
		return refused(CodeRefused, "the database is not the one that ran here last: what it sends may have been sent").hint("janela recover says what is known, and what to do")
	case reasonCancel:
		return refused(CodeRefused, "the campaign %s is being cancelled, which is final", h.Target).hint("janela campaigns show %s says when it is done", h.Target)
	default:
		return nil
	}
}

// Reasons of holds that end by what the house sees.
const (
	reasonSilent        = "webhook_silent"
	reasonCampaignError = "campaign_error"
)

// endsOf says what releases a hold; target as people write it. docs/reasons.md has
// more of each.
func endsOf(h outbox.Hold, target string) string {
	release := "janela release " + string(h.Scope)
	if h.Scope == outbox.ScopeCategory {
		release = "janela release"
	}
	if target != "" {
		release += " " + target
	}
	switch h.Reason {
	case reasonStopFile:
		return "when the file STOP is removed from the campaigns folder"
	case reasonPaused, campaigns.ReasonGuardFailed, campaigns.ReasonGuardBlocked, campaigns.ReasonGuardQuality, reasonCampaignError:
		return "by janela campaigns resume " + h.Target
	case reasonCancel:
		return "by itself, when the last queued message of the campaign is cancelled"
	case guard.ReasonRestored:
		return "by janela recover"
	case guard.ReasonClockJump:
		return "by itself, when the clock has run steadily for a minute"
	case guard.ReasonClockBehind:
		return "by itself, when the clock has caught up; by janela clock --accept, when the clock is right"
	case guard.ReasonDiskLow:
		return "by itself, when there is room on the disk again"
	case reasonSilent:
		return "by itself, with the next callback of Meta's; " + release + " gives it as long again"
	case account.ReasonBadToken:
		return "by itself, when a token that Meta takes stands in the token's file"
	}
	until := store.Time(h.Until).Format(time.RFC3339)
	switch {
	case h.Until > 0 && h.Probe:
		return fmt.Sprintf("by a message that goes through: one is tried at %s; or by %s", until, release)
	case h.Until > 0:
		return fmt.Sprintf("at %s; or by %s", until, release)
	default:
		return "by " + release
	}
}
