package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newWhy(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why MESSAGE_ID|PHONE",
		Short: "Say why a message went out or did not, or what may be sent to a person",
		Long: "Of a message: its history, and while it waits everything that stops it. Of a phone: what the person consented to and\n" +
			"by which events, the windows that are open, and what the gate would say now. Every verdict comes with the rule, the\n" +
			"value that decided, and the row in the database where that stands.",
		Args: cobra.ExactArgs(1),
	}
	as := outputFlag(cmd, asTable, asJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.Why(ctx, args[0])
			w := cmd.OutOrStdout()
			switch {
			case err != nil:
				return err
			case as.value == asJSON:
				return printJSON(w, out)
			case out.Message != nil:
				return (&sections{w: w}).message(out.Message)
			default:
				return (&sections{w: w}).person(out.Person)
			}
		})
	}
	return cmd
}

// sections writes one part after the other; after an error nothing more.
type sections struct {
	w   io.Writer
	err error
}

func (s *sections) facts(rows [][]string) {
	if s.err == nil {
		s.err = printFacts(s.w, rows)
	}
}

func (s *sections) table(title string, header []string, rows [][]string) {
	if s.err == nil {
		_, s.err = fmt.Fprintln(s.w, "\n"+title)
	}
	switch {
	case s.err != nil:
	case len(rows) == 0:
		s.err = say(s.w, "  none")
	default:
		s.err = printTable(s.w, header, rows)
	}
}

func (s *sections) message(m *httpapi.WhyMessage) error {
	from := ""
	if m.Line > 0 {
		from = fmt.Sprintf("line %d of %s", m.Line, m.Audience)
	}
	s.facts([][]string{{"message", number(m.ID)}, {"state", string(m.State)}, {"reason", m.Reason}, {"code", optional(int64(m.Code))},
		{"that is", m.Text}, {"do", m.Do}, {"to", m.To}, {"number", m.Number}, {"category", string(m.Category)}, {"template", m.Template},
		{"campaign", m.Campaign}, {"run", optional(m.Run)}, {"row", from}, {"external id", m.ExternalID}, {"attempts", number(int64(m.Attempts))},
		{"callback", m.Callback}, {"wamid", m.Wamid}, {"not before", stamp(m.NotBefore)}, {"deadline", stamp(m.Deadline)}})
	var rows [][]string
	for _, h := range m.History {
		rows = append(rows, []string{stamp(h.At), h.What})
	}
	s.table("history", []string{"at", "what"}, rows)
	if len(m.Verdicts) > 0 {
		s.table("the gate, now (the first decides)", verdictHeader, verdictRows(m.Verdicts, nil))
	}
	if len(m.Consent) > 0 {
		s.consents(m.Consent)
	}
	if m.Window != nil {
		s.windows([]httpapi.WhyWindow{*m.Window})
	}
	return s.err
}

var verdictHeader = []string{"verdict", "rule", "value", "row", "until"}

func verdictRows(vs []httpapi.Verdict, before []string) [][]string {
	var rows [][]string
	for _, v := range vs {
		rows = append(rows, append(append([]string{}, before...), v.Verdict, v.Rule, v.Value, v.Row, stamp(v.Until)))
	}
	return rows
}

func (s *sections) who(p *httpapi.Person) {
	known := "nobody we know has this number"
	if p.Known {
		known = fmt.Sprintf("contact %d", p.Contact)
	}
	joined := ""
	if len(p.Joined) > 1 {
		joined = ids(p.Joined)
	}
	s.facts([][]string{{"person", known}, {"phone", p.Phone}, {"repaired", strings.Join(p.Repairs, "; ")},
		{"identities", strings.Join(p.Identities, ", ")}, {"joined", joined}, {"also stopped", ids(p.AlsoStopped)}})
}

// ids lists contacts.
func ids(list []int64) string {
	var out []string
	for _, id := range list {
		out = append(out, number(id))
	}
	return strings.Join(out, ", ")
}

func (s *sections) person(p *httpapi.WhyPerson) error {
	s.who(&p.Person)
	s.consents(p.Consents)
	s.windows(p.Windows)
	var rows [][]string
	for _, g := range p.Gate {
		rows = append(rows, verdictRows(g.Verdicts, []string{g.Number, string(g.Category)})...)
	}
	s.table("the gate, now", append([]string{"number", "category"}, verdictHeader...), rows)
	rows = nil
	for _, c := range p.Conversations {
		rows = append(rows, conversationRow(c))
	}
	s.table("open conversations", conversationHeader, rows)
	s.table("latest messages", messageHeader, messageRows(p.Messages))
	return s.err
}

func (s *sections) consents(all []httpapi.ConsentState) {
	var rows [][]string
	for _, c := range all {
		by := ""
		for _, e := range c.Events {
			if by != "" {
				by += "; "
			}
			by += fmt.Sprintf("%d: %s %s, %s", e.ID, e.Kind, e.Scope, e.Source)
			if e.Actor != "" {
				by += " by " + e.Actor
			}
		}
		rows = append(rows, []string{c.Number, string(c.Category), c.State, stamp(c.GrantedAt), stamp(c.RevokedAt), by})
	}
	s.table("consent", []string{"number", "category", "state", "granted", "revoked", "events that decided"}, rows)
}

func (s *sections) windows(all []httpapi.WhyWindow) {
	var rows [][]string
	for _, w := range all {
		state := "closed"
		switch {
		case w.Open:
			state = "open"
		case w.LastAt.IsZero():
			state = "never wrote"
		}
		rows = append(rows, []string{w.Number, state, stamp(w.LastAt), stamp(w.ClosesAt)})
	}
	s.table("service windows", []string{"number", "state", "last message", "closes"}, rows)
}
