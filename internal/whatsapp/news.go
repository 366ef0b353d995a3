package whatsapp

import "time"

// LastNews is how long after a message was sent Meta may still tell of it for the
// first time: it tries to deliver for up to 30 days (Meta: time-to-live) and to
// post a callback for 7 days (Meta: Webhooks), and the rest is slack. That somebody
// read it may come at any time.
const LastNews = 45 * 24 * time.Hour
