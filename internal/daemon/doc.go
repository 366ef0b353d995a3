// Package daemon builds the house and starts it: one straight line of
// construction, a start order, a named stop in the reverse order, and health.
// Config is config.toml; its keys are explained in that file itself.
//
//	config → store → sandbox (when it stands in for Meta) → clients → account,
//	campaigns, scheduler, dispatch, intake → listeners
//
// On SIGTERM the listeners say they are not ready, nothing new is claimed, what
// is in flight is waited for, and the database is closed last.
package daemon
