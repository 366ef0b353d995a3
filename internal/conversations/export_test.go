package conversations

// Model is the naive model of the ledger, for tests that come through the doors.
func Model(events []Event) []Conversation { return model(events) }

// Show writes conversations as short lines.
func Show(rows []Conversation) []string { return show(rows) }
