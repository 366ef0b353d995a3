package daemon

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"janela/internal/outbox"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

func TestMarketingEndpoint(t *testing.T) {
	const usual, own = "cloud_api_fallback", "strict"
	for _, test := range []struct {
		name, endpoint, policy, sharing, stream string
		category                                whatsapp.Category
		want                                    *cloudapi.Marketing
	}{
		{"as all others", endpointMessages, usual, sharingDefault, "", whatsapp.Marketing, nil},
		{"by the configuration", endpointMarketing, usual, sharingDefault, "", whatsapp.Marketing, &cloudapi.Marketing{ProductPolicy: "CLOUD_API_FALLBACK"}},
		{"strictly", endpointMarketing, own, sharingOn, "", whatsapp.Marketing, &cloudapi.Marketing{ProductPolicy: "STRICT", ActivitySharing: new(true)}},
		{"by the campaign", endpointMessages, usual, sharingOff, own, whatsapp.Marketing, &cloudapi.Marketing{ProductPolicy: "STRICT", ActivitySharing: new(false)}},
		{"by the campaign, against the configuration", endpointMarketing, own, sharingDefault, usual, whatsapp.Marketing, &cloudapi.Marketing{ProductPolicy: "CLOUD_API_FALLBACK"}},
		{"utility", endpointMarketing, own, sharingOn, own, whatsapp.Utility, nil},
		{"codes", endpointMarketing, own, sharingOn, "", whatsapp.Authentication, nil},
		{"free text", endpointMarketing, own, sharingOn, "", whatsapp.Service, nil},
	} {
		c := WhatsAppConfig{MarketingEndpoint: test.endpoint, ProductPolicy: test.policy, ActivitySharing: test.sharing}
		got := c.marketing(outbox.Stream{Category: test.category, Template: "t", ProductPolicy: test.stream})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s:\n%s", test.name, diff)
		}
	}
}
