package whatsapp

import (
	"fmt"
	"strings"
)

// Category is the kind of conversation a message belongs to.
type Category string

// The four categories. Service is for free-form replies; the others are
// categories of templates.
const (
	Marketing      Category = "marketing"
	Utility        Category = "utility"
	Authentication Category = "authentication"
	Service        Category = "service"
)

// TemplateCategories are the categories a person can consent to, and a
// template can have.
var TemplateCategories = []Category{Marketing, Utility, Authentication}

// ParseCategory reads a category as people and Meta write it, in any case.
// It accepts the three template categories only.
func ParseCategory(s string) (Category, error) {
	c := Category(strings.ToLower(strings.TrimSpace(s)))
	for _, known := range TemplateCategories {
		if c == known {
			return c, nil
		}
	}
	return "", fmt.Errorf("category %q is not known; write marketing, utility or authentication", s)
}

// FoldPricing maps the category of Meta's pricing or conversation object to
// ours: marketing_lite counts as marketing, the international rates as their
// base, referral_conversion and general_purpose_ai as service. ok is false for
// a category we do not know (Meta: Webhooks, messages, status object).
func FoldPricing(s string) (c Category, ok bool) {
	s = strings.ReplaceAll(strings.ToLower(s), "-", "_")
	s = strings.TrimSuffix(s, "_international")
	s = strings.TrimSuffix(s, "_lite")
	switch s {
	case "marketing", "utility", "authentication", "service":
		return Category(s), true
	case "referral_conversion", "general_purpose_ai":
		return Service, true
	default:
		return "", false
	}
}

// Lane is the order of precedence: a lower lane never waits for a higher one.
type Lane int

// The three lanes.
const (
	LaneAuthentication Lane = iota
	LaneUtility             // utility and service
	LaneMarketing
)

// Lane returns the lane in which messages of the category travel.
func (c Category) Lane() Lane {
	switch c {
	case Authentication:
		return LaneAuthentication
	case Marketing:
		return LaneMarketing
	default:
		return LaneUtility
	}
}

// String names the lane for metrics and logs.
func (l Lane) String() string {
	switch l {
	case LaneAuthentication:
		return "authentication"
	case LaneUtility:
		return "utility"
	default:
		return "marketing"
	}
}
