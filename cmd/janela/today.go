package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newToday(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "today",
		Short: "Show the last 24 hours: what became of messages, why some did not arrive, what stands still",
		Long: "Shows where the messages stand now that were made in the last 24 hours, by lane; why some did not arrive; open conversations by\n" +
			"category; the messaging limit, the numbers, templates that need somebody, and holds with what releases them. What leaves a\n" +
			"minute is in -o json, and in janela top.",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			t, err := c.Today(ctx)
			if err != nil {
				return err
			}
			if as.value == asJSON {
				return printJSON(cmd.OutOrStdout(), t)
			}
			return (&sections{w: cmd.OutOrStdout()}).today(&t)
		})
	}
	return cmd
}

func (s *sections) today(t *httpapi.Today) error {
	limit, sends := "", ""
	if t.MessagingLimit != nil {
		limit = t.MessagingLimit.Text
	}
	if t.Sends != nil {
		var n int64
		for _, m := range t.Sends.Minutes {
			n += m.Authentication + m.Utility + m.Marketing
		}
		sends = fmt.Sprintf("%d in %d minutes", n, len(t.Sends.Minutes))
	}
	var open []string
	for _, c := range t.Conversations {
		open = append(open, fmt.Sprintf("%s %d", c.Category, c.Open))
	}
	s.facts([][]string{{"since", stamp(t.Day.Since)}, {"sends", sends}, {"conversations", strings.Join(open, ", ")}, {"reached", limit}})
	rows := [][]string{}
	for _, l := range append([]httpapi.LaneFunnel{{Lane: "all", Funnel: t.Day.All}}, t.Day.Lanes...) {
		rows = append(rows, append([]string{l.Lane}, funnelCells(l.Funnel)...))
	}
	s.table("messages of the last 24 hours, and where they stand now", append([]string{"lane"}, funnelHeader...), rows)
	rows = nil
	for _, r := range t.Reasons {
		rows = append(rows, []string{number(r.Messages), string(r.State), r.Reason, r.Text, r.Do})
	}
	s.table("why some did not arrive", []string{"messages", "state", "reason", "that is", "do"}, rows)
	rows = nil
	for _, n := range t.Numbers {
		pace := ""
		if n.Pace != nil {
			pace = fmt.Sprintf("%.4g a second", n.Pace.PerSecond)
		}
		rows = append(rows, []string{n.Name, n.Status, n.Quality, n.Throughput, n.MessagingLimit, pace})
	}
	s.table("numbers", []string{"number", "status", "quality", "throughput", "limit", "pace"}, rows)
	rows = nil
	for _, x := range t.Templates {
		rows = append(rows, templateRow(x))
	}
	s.table("templates that need somebody", templateHeader, rows)
	rows = nil
	for _, h := range t.Holds {
		rows = append(rows, []string{h.Scope, h.Target, h.State, h.Reason, h.Detail, stamp(h.Since), stamp(h.Until), h.Ends})
	}
	s.table("holds", []string{"scope", "target", "state", "reason", "detail", "since", "until", "ends"}, rows)
	return s.err
}

var funnelHeader = []string{"messages", "queued", "sent", "delivered", "read", "failed", "refused", "cancelled", "expired", "unknown"}

func funnelCells(f httpapi.Funnel) (out []string) {
	for _, n := range []int64{f.Messages, f.Queued, f.Sent, f.Delivered, f.Read, f.Failed, f.Refused, f.Cancelled, f.Expired, f.Unknown} {
		out = append(out, number(n))
	}
	return out
}

func newContacts(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "contacts", Short: "Show what is known of a person"}
	cmd.AddCommand(newContactShow(a), newContactMessages(a))
	return cmd
}

func newContactShow(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID|PHONE",
		Short: "Show a person: names, consents with their evidence, windows, conversations, messages, what may be sent now",
		Long:  "Shows a person, by the id of a contact or by a telephone number with its plus. janela dossier has everything that is known of them.",
		Args:  cobra.ExactArgs(1),
	}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			p, err := contactNamed(ctx, c, args[0])
			switch {
			case err != nil:
				return err
			case as.value == asTable:
				return (&sections{w: cmd.OutOrStdout()}).contact(&p)
			default:
				return printRows(cmd.OutOrStdout(), as, eventHeader, eventRows(p.Events), p)
			}
		})
	}
	return cmd
}

// contactNamed finds a person by id, else by number: one with a plus is always
// that.
func contactNamed(ctx context.Context, c *httpapi.Client, of string) (httpapi.Contact, error) {
	if id, err := strconv.ParseInt(of, 10, 64); err == nil && id > 0 && !strings.HasPrefix(of, "+") {
		p, err := c.Contact(ctx, id)
		if no := (*httpapi.Problem)(nil); !errors.As(err, &no) || no.Code != httpapi.CodeNotFound {
			return p, err
		}
	}
	return c.FindContact(ctx, of)
}

func newContactMessages(a *app) *cobra.Command {
	limit := 100
	cmd := &cobra.Command{
		Use:   "messages ID|PHONE",
		Short: "List the messages to a person, newest first",
		Args:  cobra.ExactArgs(1),
	}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.Flags().IntVarP(&limit, "number", "n", limit, "how many")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			p, err := contactNamed(ctx, c, args[0])
			if err != nil {
				return err
			}
			all := []httpapi.PersonMessage{}
			for after := int64(0); p.Known && len(all) < limit; {
				page, err := c.ContactMessages(ctx, p.ID, after, min(limit-len(all), 500))
				if err != nil {
					return err
				}
				all = append(all, page.Messages...)
				if after = page.Next; after == 0 {
					break
				}
			}
			return printRows(cmd.OutOrStdout(), as, messageHeader, messageRows(all), all)
		})
	}
	return cmd
}

var messageHeader = []string{"message", "at", "campaign", "category", "template", "state", "reason", "that is"}

func messageRows(all []httpapi.PersonMessage) (rows [][]string) {
	for _, m := range all {
		rows = append(rows, []string{number(m.ID), stamp(m.At), m.Campaign, string(m.Category), m.Template, string(m.State), m.Reason, m.Text})
	}
	return rows
}

var eventHeader = []string{"event", "at", "what", "category", "scope", "purpose", "source", "by", "proof"}

func eventRows(all []httpapi.ConsentEvent) (rows [][]string) {
	for _, e := range all {
		rows = append(rows, []string{number(e.ID), stamp(e.At), e.Kind, string(e.Category), e.Scope, e.Purpose, e.Source, e.Actor, e.Evidence.Text})
	}
	return rows
}

func (s *sections) contact(p *httpapi.Contact) error {
	known := "nobody we know has this number"
	if p.Known {
		known = number(p.ID)
	}
	var names []string
	for _, n := range p.Identities {
		names = append(names, fmt.Sprintf("%s %s", n.Kind, n.Value))
	}
	joined := ""
	if len(p.Contacts) > 1 {
		joined = ids(p.Contacts)
	}
	s.facts([][]string{{"contact", known}, {"phone", p.Phone}, {"repaired", strings.Join(p.Repairs, "; ")}, {"names", strings.Join(names, ", ")},
		{"joined", joined}, {"also stopped", ids(p.AlsoStopped)}})
	var rows [][]string
	for _, g := range p.Gate {
		rows = append(rows, verdictRows(g.Verdicts, []string{g.Number, string(g.Category)})...)
	}
	s.table("what may be sent now", append([]string{"number", "category"}, verdictHeader...), rows)
	s.consents(p.Consents)
	s.table("consent, in the order of time", eventHeader, eventRows(p.Events))
	s.windows(p.Windows)
	rows = nil
	for _, c := range p.Conversations {
		rows = append(rows, conversationRow(c))
	}
	s.table("latest conversations", conversationHeader, rows)
	s.table("latest messages", messageHeader, messageRows(p.Messages))
	return s.err
}
