package campaigns

import (
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
)

var sqlReject = store.SQL(`INSERT INTO rejects (run_id, line, reason, detail) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (run_id, line) DO NOTHING`)

// Reasons of rows that are no message of their own.
const (
	RowOfferEnded  RowReason = "offer_ended"  // the limited-time offer was over before the row's turn
	RowDuplicate   RowReason = "duplicate"    // the number, or the person, has a message in this run
	RowAlreadySent RowReason = "already_sent" // once_per: an earlier run carries the notice; or an earlier run of a one-off reached the person
)

// batchWriter gathers the messages of one batch.
type batchWriter struct {
	x                              *expansion
	tx                             *store.Tx
	others                         bool // the campaign has other runs
	rows                           []outbox.New
	keys                           []string        // once_per, beside rows
	carried                        map[string]bool // once_per: by a row of this batch
	admitted, rejected, duplicates int
}

func (w *batchWriter) add(e *entry) error {
	switch {
	case e.bad != nil:
		w.rejected++
		return w.reject(e.bad.Line, e.bad.Reason, e.bad.Detail)
	case e.duplicate:
		w.duplicates++
		return w.reject(e.r.Line, RowDuplicate, "another row of the file has this number")
	}
	if e.r.offerEnded(w.tx.Now()) {
		w.rejected++
		return w.reject(e.r.Line, RowOfferEnded, "the offer ended at "+e.r.OfferEnds.Format("2006-01-02T15:04"))
	}
	contact, known := e.person, e.person.ID > 0
	sent, err := sentBefore(w.tx, w.x.run.Campaign, w.x.run.ID, w.others && w.x.in.Def.oneOff(), contact.ID, e.r.OnceKey)
	if err != nil {
		return err
	}
	if sent || e.r.OnceKey != "" && w.carried[e.r.OnceKey] {
		w.duplicates++
		return w.reject(e.r.Line, RowAlreadySent, "an earlier run, or an earlier row, carries this notice")
	}
	m := outbox.New{Contact: contact.ID, Alone: contact.Alone, To: e.r.Phone.Identity(), Params: string(e.r.Params), Line: e.r.Line, ExternalID: e.r.ExternalID,
		Deadline: e.r.deadline(w.x.ends)}
	if !known {
		m.Refused = "no_opt_in" // nobody we do not know can have consented
	} else if e.r.OnceKey != "" {
		if w.carried == nil {
			w.carried = map[string]bool{}
		}
		w.carried[e.r.OnceKey] = true
	}
	w.rows, w.keys = append(w.rows, m), append(w.keys, e.r.OnceKey)
	return nil
}

// deadline is when a message must have left: nobody gets an offer that is over.
func (r *Recipient) deadline(ends time.Time) time.Time {
	return sooner(sooner(ends, r.Expires), r.OfferEnds)
}

func (r *Recipient) offerEnded(now time.Time) bool {
	return !r.OfferEnds.IsZero() && !now.Before(r.OfferEnds)
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (w *batchWriter) reject(line int, reason RowReason, detail string) error {
	_, err := w.tx.Exec(sqlReject, w.x.run.ID, line, string(reason), detail)
	return err
}

// enqueue hands the batch to the outbox and notes the once_per keys.
func (w *batchWriter) enqueue() error {
	ids, out, err := outbox.Enqueue(w.tx, w.x.stream, w.rows)
	if err != nil {
		return err
	}
	for i, id := range ids {
		if id == 0 {
			w.duplicates++
			if err := w.reject(w.rows[i].Line, RowDuplicate, "another row of the file reaches the same person"); err != nil {
				return err
			}
			continue
		}
		w.admitted++
		if w.keys[i] != "" {
			if _, err := w.tx.Exec(sqlPutOnce, w.x.run.Campaign, w.keys[i], id); err != nil {
				return err
			}
		}
	}
	return w.x.c.tell(w.tx, out)
}
