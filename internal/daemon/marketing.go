package daemon

import (
	"strings"

	"janela/internal/outbox"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

// Endpoints of [whatsapp] marketing_endpoint, and policies of the second.
const (
	endpointMessages  = "messages"
	endpointMarketing = "marketing_messages"
)

// Settings of message_activity_sharing.
const (
	sharingDefault = "default"
	sharingOn      = "on"
	sharingOff     = "off"
)

var policies = []string{"cloud_api_fallback", "strict"}

// marketing says how a stream's messages go by the Marketing Messages API; nil
// for those that go as all others. A campaign that names a policy goes by it
// whatever the endpoint of the others.
func (c *WhatsAppConfig) marketing(s outbox.Stream) *cloudapi.Marketing {
	policy := s.ProductPolicy
	if policy == "" && c.MarketingEndpoint == endpointMarketing {
		policy = c.ProductPolicy
	}
	if s.Category != whatsapp.Marketing || policy == "" {
		return nil
	}
	m := &cloudapi.Marketing{ProductPolicy: strings.ToUpper(policy)}
	if c.ActivitySharing != sharingDefault {
		m.ActivitySharing = new(c.ActivitySharing == sharingOn)
	}
	return m
}
