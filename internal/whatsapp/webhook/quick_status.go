package webhook

// once notes that a member was read; false when it was before. Of two of one
// name encoding/json knows what to make.
type once uint32

func (o *once) first(bit int) bool {
	before := *o
	*o |= 1 << bit
	return *o != before
}

// callback reads the whole body.
func (q *quick) callback() bool {
	var seen once
	ok := q.object(func(key string) bool {
		switch key {
		case "object":
			var t text
			return seen.first(0) && q.text(&t) && t == "whatsapp_business_account"
		case "entry":
			return seen.first(1) && q.array(q.entry)
		default:
			return q.other(key)
		}
	})
	q.space()
	return ok && q.at == len(q.s)
}

func (q *quick) entry() bool {
	const id, changes, at = 0, 1, 2
	var seen once
	var waba text
	return q.object(func(key string) bool {
		switch key {
		case "id": // it stands in every event
			return seen.first(id) && seen&(1<<changes) == 0 && q.text(&waba)
		case "changes":
			before := len(q.events)
			return seen.first(changes) && q.array(func() bool { return q.change(string(waba)) }) && len(q.events) > before
		case "time":
			return seen.first(at) && q.instant(new(instant))
		default:
			return q.other(key)
		}
	}) && seen&(1<<changes) != 0
}

func (q *quick) change(waba string) bool {
	var seen once
	return q.object(func(key string) bool {
		switch key {
		case "field":
			var t text
			return seen.first(0) && q.text(&t) && t == "messages"
		case "value":
			return seen.first(1) && q.value(waba)
		default:
			return q.other(key)
		}
	}) && seen == 3
}

// value reads statuses, behind what says whose they are.
func (q *quick) value(waba string) bool {
	const metadata, people, statuses = 0, 1, 2
	var seen once
	s := scope{waba: waba, field: "messages"}
	return q.object(func(key string) bool {
		switch key {
		case "metadata":
			return seen.first(metadata) && seen&(1<<statuses) == 0 && q.metadata(&s)
		case "contacts":
			return seen.first(people) && seen&(1<<statuses) == 0 && q.array(func() bool { return q.contact(&s) })
		case "statuses":
			n := 0
			return seen.first(statuses) && q.array(func() bool {
				n++ // of several, the contact need not be everybody's
				return (n == 1 || len(s.contacts) == 0) && q.status(&s)
			}) && n > 0
		case "messages", "errors", "user_preferences", "user_id_update":
			return false
		default:
			return q.other(key)
		}
	}) && seen&(1<<statuses) != 0
}

func (q *quick) metadata(s *scope) bool {
	var seen once
	return q.object(func(key string) bool {
		var t text
		switch key {
		case "display_phone_number":
			ok := seen.first(0) && q.text(&t)
			s.display = string(t)
			return ok
		case "phone_number_id":
			ok := seen.first(1) && q.text(&t)
			s.number = string(t)
			return ok
		default:
			return q.other(key)
		}
	})
}

// contact reads the one whom a status has beside it.
func (q *quick) contact(s *scope) bool {
	if len(s.contacts) > 0 {
		return false
	}
	c := &q.contacts[0]
	*c = contact{}
	var seen once
	if !q.object(func(key string) bool {
		switch key {
		case "wa_id":
			return seen.first(0) && q.text(&c.WaID)
		case "user_id":
			return seen.first(1) && q.text(&c.UserID)
		case "parent_user_id":
			return seen.first(2) && q.text(&c.Parent)
		case "profile": // a name, which statuses do not ask for
			return seen.first(3) && q.skip(0)
		default:
			return q.other(key)
		}
	}) {
		return false
	}
	s.contacts = q.contacts[:]
	return true
}

func (q *quick) status(s *scope) bool {
	var b statusBody
	var seen once
	if !q.object(func(key string) bool {
		switch key {
		case "id":
			return seen.first(0) && q.text(&b.ID)
		case "status":
			return seen.first(1) && q.text(&b.Status)
		case "timestamp":
			return seen.first(2) && q.instant(&b.At)
		case "recipient_id":
			return seen.first(3) && q.text(&b.Recipient)
		case "recipient_user_id":
			return seen.first(4) && q.text(&b.RecipientUser)
		case "recipient_parent_user_id":
			return seen.first(5) && q.text(&b.Parent)
		case "parent_recipient_user_id":
			return seen.first(6) && q.text(&b.Parent2)
		case "recipient_type":
			return seen.first(7) && q.text(&b.RecipientType)
		case "biz_opaque_callback_data":
			return seen.first(8) && q.text(&b.Callback)
		case "recipient_identity_key_hash":
			return seen.first(9) && q.text(&b.KeyHash)
		case "conversation":
			q.talk = statusConversation{}
			b.Conversation = &q.talk
			return seen.first(10) && q.conversation(&q.talk)
		case "pricing":
			q.priced = statusPricing{}
			b.Pricing = &q.priced
			return seen.first(11) && q.pricing(&q.priced)
		case "errors": // a failure is rare
			return false
		default:
			return q.other(key)
		}
	}) {
		return false
	}
	q.events = append(q.events, s.status(&b))
	return true
}

func (q *quick) conversation(c *statusConversation) bool {
	var seen once
	return q.object(func(key string) bool {
		switch key {
		case "id":
			return seen.first(0) && q.text(&c.ID)
		case "origin":
			return seen.first(1) && q.object(func(key string) bool {
				if key == "type" {
					return seen.first(2) && q.text(&c.Origin.Type)
				}
				return q.other(key)
			})
		case "expiration_timestamp":
			return seen.first(3) && q.instant(&c.Expires)
		default:
			return q.other(key)
		}
	})
}

func (q *quick) pricing(c *statusPricing) bool {
	var seen once
	return q.object(func(key string) bool {
		switch key {
		case "pricing_model":
			return seen.first(0) && q.text(&c.Model)
		case "type":
			return seen.first(1) && q.text(&c.Type)
		case "category":
			return seen.first(2) && q.text(&c.Category)
		case "billable":
			return seen.first(3) && q.boolean(&c.Billable)
		default:
			return q.other(key)
		}
	})
}
