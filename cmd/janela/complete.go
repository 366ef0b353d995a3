package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

// completionTime bounds how long a shell waits.
const completionTime = 500 * time.Millisecond

// complete lets shells complete what commands take: ids of campaigns, scopes of
// holds, names of numbers and operators. Only a running daemon is asked, because that is quick.
func (a *app) complete(root *cobra.Command) {
	for _, c := range root.Commands() {
		switch {
		case c.Name() == "campaigns":
			for _, sub := range c.Commands() {
				if words := strings.Fields(sub.Use); len(words) > 1 && words[1] == "ID" && sub.Name() != "new" {
					sub.ValidArgsFunction = a.campaignIDs
				}
			}
		case c.Name() == "operators":
			for _, sub := range c.Commands() {
				if words := strings.Fields(sub.Use); len(words) > 1 && words[1] == "NAME" && sub.Name() != "add" {
					sub.ValidArgsFunction = a.operatorNames
				}
			}
		case c.Name() == "hold" || c.Name() == "release":
			c.ValidArgsFunction = a.holdTargets
		}
	}
}

// quickly asks the running daemon, if there is one.
func (a *app) quickly(fn func(ctx context.Context, c *httpapi.Client)) {
	ctx, cancel := context.WithTimeout(context.Background(), completionTime)
	defer cancel()
	c, err := a.dial(ctx, io.Discard)
	if err != nil {
		return
	}
	defer c.Close()
	fn(ctx, c)
}

const noFiles = cobra.ShellCompDirectiveNoFileComp

func (a *app) campaignIDs(_ *cobra.Command, args []string, typed string) (out []string, _ cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	a.quickly(func(ctx context.Context, c *httpapi.Client) {
		all, err := c.Campaigns(ctx)
		for _, camp := range all {
			if err == nil && strings.HasPrefix(camp.ID, typed) {
				out = append(out, camp.ID+"\t"+camp.State)
			}
		}
	})
	return out, noFiles
}

func (a *app) operatorNames(cmd *cobra.Command, args []string, typed string) (out []string, _ cobra.ShellCompDirective) {
	switch {
	case len(args) == 1 && cmd.Name() == "role":
		return httpapi.Roles(), noFiles
	case len(args) > 0:
		return nil, noFiles
	}
	a.quickly(func(ctx context.Context, c *httpapi.Client) {
		all, err := c.Operators(ctx)
		for _, o := range all {
			if err == nil && strings.HasPrefix(o.Name, typed) {
				out = append(out, o.Name+"\t"+o.Role)
			}
		}
	})
	return out, noFiles
}

func (a *app) holdTargets(cmd *cobra.Command, args []string, typed string) (out []string, _ cobra.ShellCompDirective) {
	switch {
	case len(args) == 0:
		for _, s := range []string{"all", "marketing", "utility", "authentication", "number", "template", "campaign", "account"} {
			if strings.HasPrefix(s, typed) {
				out = append(out, s)
			}
		}
	case len(args) == 1 && args[0] == "campaign":
		return a.campaignIDs(cmd, nil, typed)
	case len(args) == 1 && args[0] == "number":
		a.quickly(func(ctx context.Context, c *httpapi.Client) {
			self, err := c.Self(ctx)
			for _, n := range self.Numbers {
				if err == nil && strings.HasPrefix(n.Name, typed) {
					out = append(out, n.Name)
				}
			}
		})
	}
	return out, noFiles
}
