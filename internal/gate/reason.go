package gate

// Reason is why a message may not leave: one stable text in the database, in
// metrics, the API and docs/reasons.md.
type Reason string

// Refusals: final, about the person or the row.
const (
	NoOptIn            Reason = "no_opt_in"
	OptedOut           Reason = "opted_out"
	WindowClosed       Reason = "service_window_closed"
	TemplateSkipped    Reason = "template_not_approved" // with on_not_approved = "skip"
	Deadline           Reason = "deadline"
	DryRun             Reason = "dry_run"
	AuthenticationOnly Reason = "phone_required" // authentication needs a phone number, not a BSUID
	CountryBarred      Reason = "country_barred" // Meta bars the account from the person's country
	NotReachable       Reason = "undeliverable"  // Meta could not deliver to the person on several days
)

// Waits: the message stays queued.
const (
	Held                Reason = "held"
	OutsideWindow       Reason = "outside_window"
	DayLimit            Reason = "day_limit" // the campaign's per_day
	TemplateUnknown     Reason = "template_unknown"
	TemplateNotApproved Reason = "template_not_approved"
	CategoryDrift       Reason = "category_drift"
	TemplateChanged     Reason = "template_changed"
	NotDue              Reason = "not_before"
	NumberUnknown       Reason = "number_unknown"
	UnderReview         Reason = "under_review"     // what the person wrote may be an opt-out
	MarketingCapped     Reason = "marketing_capped" // Meta chose not to deliver marketing to the person; a refusal where it would be too late
	MediaExpired        Reason = "media_expired"
)

// Reasons lists every reason the gate can give, for docs/reasons.md.
func Reasons() []Reason {
	return []Reason{NoOptIn, OptedOut, WindowClosed, TemplateNotApproved, Deadline, DryRun, AuthenticationOnly,
		Held, OutsideWindow, DayLimit, TemplateUnknown, CategoryDrift, TemplateChanged, NotDue, NumberUnknown, UnderReview, MediaExpired, NotReachable, MarketingCapped, CountryBarred}
}
