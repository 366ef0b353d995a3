package sandbox

import "encoding/json"

// DefaultTemplates returns the templates of a small Brazilian shop, for a
// business account: of every category, with every status a campaign meets.
func DefaultTemplates(waba string) []Template {
	list := []Template{
		{
			Name: "oferta_natal", Language: "pt_BR", Category: "MARKETING", Status: "APPROVED", Quality: "GREEN",
			Components: json.RawMessage(`[
{"type":"BODY","text":"Oi, {{1}}! A oferta de Natal chegou: {{2}} de desconto na loja toda até domingo.","example":{"body_text":[["Ana","20%"]]}},
{"type":"FOOTER","text":"Não quer mais receber? Toque em Parar promoções."},
{"type":"BUTTONS","buttons":[
 {"type":"QUICK_REPLY","text":"Parar promoções"},
 {"type":"URL","text":"Ver ofertas","url":"https://loja.example/natal/{{1}}","example":["https://loja.example/natal/n3mtql"]}]}]`),
		},
		{
			Name: "boleto_lembrete", Language: "pt_BR", Category: "UTILITY", Status: "APPROVED", Quality: "GREEN",
			ParameterFormat: "NAMED",
			Components: json.RawMessage(`[
{"type":"HEADER","format":"TEXT","text":"Lembrete de boleto"},
{"type":"BODY","text":"Olá, {{nome}}. Seu boleto de {{valor}} vence em {{vencimento}}. Se já pagou, desconsidere.","example":{"body_text_named_params":[{"param_name":"nome","example":"Ana"},{"param_name":"valor","example":"R$ 120,00"},{"param_name":"vencimento","example":"10/12/2026"}]}},
{"type":"FOOTER","text":"Loja de Exemplo"}]`),
		},
		{
			Name: "pedido_enviado", Language: "pt_BR", Category: "UTILITY", SubCategory: "ORDER_STATUS", Status: "APPROVED", Quality: "GREEN",
			Components: json.RawMessage(`[
{"type":"HEADER","format":"IMAGE","example":{"header_handle":["https://loja.example/pedido.jpg"]}},
{"type":"BODY","text":"Oi, {{1}}! O pedido {{2}} saiu para entrega e chega em breve.","example":{"body_text":[["Ana","1042"]]}},
{"type":"BUTTONS","buttons":[{"type":"URL","text":"Acompanhar","url":"https://loja.example/pedidos"}]}]`),
		},
		{
			Name: "shipping_update", Language: "en_US", Category: "UTILITY", Status: "APPROVED", Quality: "GREEN",
			Components: json.RawMessage(`[
{"type":"BODY","text":"Hi {{1}}, your order {{2}} is on its way.","example":{"body_text":[["Ana","1042"]]}}]`),
		},
		{
			Name: "codigo_acesso", Language: "pt_BR", Category: "AUTHENTICATION", Status: "APPROVED", Quality: "GREEN", TTLSeconds: 300,
			// An OTP button is created as OTP and reads back as URL (Meta:
			// Authentication templates).
			Components: json.RawMessage(`[
{"type":"BODY","text":"*{{1}}* é seu código de verificação. Para sua segurança, não o compartilhe.","add_security_recommendation":true,"example":{"body_text":[["123456"]]}},
{"type":"FOOTER","text":"Este código expira em 5 minutos.","code_expiration_minutes":5},
{"type":"BUTTONS","buttons":[{"type":"URL","text":"Copiar código","url":"https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}","example":["https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp123456"]}]}]`),
		},
		plainMarketing("novidades_loja", "PENDING", "Oi, {{1}}! As novidades da semana já estão na loja. Venha ver."),
		plainMarketing("promo_pausada", "PAUSED", "Oi, {{1}}! Só hoje, frete grátis na loja toda."),
		plainMarketing("promo_rejeitada", "REJECTED", "Oi, {{1}}! Você ganhou um prêmio, responda para receber."),
	}
	for i := range list {
		list[i].WABA = waba
		switch list[i].Status {
		case "PAUSED":
			list[i].Quality = "RED"
		case "REJECTED":
			list[i].RejectedReason = "PROMOTIONAL"
		}
	}
	return list
}

func plainMarketing(name, status, text string) Template {
	components, err := json.Marshal([]map[string]any{
		{"type": "BODY", "text": text, "example": map[string]any{"body_text": [][]string{{"Ana"}}}},
	})
	if err != nil {
		panic(err) // constant strings
	}
	return Template{Name: name, Language: "pt_BR", Category: "MARKETING", Status: status, Components: components}
}
