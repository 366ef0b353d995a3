package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// codeWords are Meta's fixed texts of authentication templates, by language.
var codeWords = map[string]struct{ body, footer, button string }{
	"pt_BR": {"*{{1}}* é seu código de verificação. Para sua segurança, não o compartilhe.", "Este código expira em %d minutos.", "Copiar código"},
	"en_US": {"*{{1}}* is your verification code. For your security, do not share this code.", "This code expires in %d minutes.", "Copy code"},
	"es":    {"Tu código de verificación es *{{1}}*. Por tu seguridad, no lo compartas.", "Este código caduca en %d minutos.", "Copiar código"},
}

// codeTemplate is an authentication template: with an app one-tap, else
// copy-code. An OTP button is created as OTP and reads back as URL (Meta:
// Authentication templates). minutes 0: no footer; ttl in seconds, 0: none set.
func codeTemplate(name, language string, ttl, minutes int, app string) Template {
	words := codeWords[language]
	query := "otp_type=COPY_CODE&code=otp"
	if app != "" {
		query = "otp_type=ONE_TAP&cta_display_name=Autofill&package_name=" + app + "&signature_hash=K8a/AINcGX7&code=otp"
	}
	const address = "https://www.whatsapp.com/otp/code/?"
	components := []map[string]any{{"type": "BODY", "text": words.body, "add_security_recommendation": true,
		"example": map[string]any{"body_text": [][]string{{"123456"}}}}}
	if minutes > 0 {
		components = append(components, map[string]any{"type": "FOOTER", "text": fmt.Sprintf(words.footer, minutes), "code_expiration_minutes": minutes})
	}
	components = append(components, map[string]any{"type": "BUTTONS", "buttons": []map[string]any{{"type": "URL", "text": words.button,
		"url": address + query + "{{1}}", "example": []string{address + query + "123456"}}}})
	return Template{Name: name, Language: language, Category: "AUTHENTICATION", Status: "APPROVED", Quality: "GREEN", TTLSeconds: ttl, Components: marshalled(components)}
}

// marshalled is the JSON of plain maps and texts, as Meta writes it: without
// escapes for HTML.
func marshalled(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // constant data
	}
	return bytes.TrimSpace(b.Bytes())
}

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
			Name: "vitrine_natal", Language: "pt_BR", Category: "MARKETING", Status: "APPROVED", Quality: "GREEN",
			Components: json.RawMessage(`[
{"type":"BODY","text":"Oi, {{1}}! Separamos duas ofertas para você.","example":{"body_text":[["Ana"]]}},
{"type":"CAROUSEL","cards":[
 {"components":[
  {"type":"HEADER","format":"IMAGE","example":{"header_handle":["https://loja.example/tenis.jpg"]}},
  {"type":"BODY","text":"Tênis com {{1}} de desconto","example":{"body_text":[["10%"]]}},
  {"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Quero"},{"type":"URL","text":"Ver","url":"https://loja.example/p/{{1}}","example":["https://loja.example/p/tenis"]}]}]},
 {"components":[
  {"type":"HEADER","format":"IMAGE","example":{"header_handle":["https://loja.example/botas.jpg"]}},
  {"type":"BODY","text":"Botas com {{1}} de desconto","example":{"body_text":[["20%"]]}},
  {"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Quero"},{"type":"URL","text":"Ver","url":"https://loja.example/p/{{1}}","example":["https://loja.example/p/botas"]}]}]}]}]`),
		},
		{
			Name: "oferta_relampago", Language: "pt_BR", Category: "MARKETING", Status: "APPROVED", Quality: "GREEN",
			Components: json.RawMessage(`[
{"type":"BODY","text":"Oi, {{1}}! É só hoje: use o código na loja.","example":{"body_text":[["Ana"]]}},
{"type":"LIMITED_TIME_OFFER","limited_time_offer":{"text":"Acaba logo!","has_expiration":true}},
{"type":"BUTTONS","buttons":[
 {"type":"COPY_CODE","text":"Copiar código","example":["RELAMPAGO10"]},
 {"type":"URL","text":"Comprar","url":"https://loja.example/oferta?c={{1}}","example":["https://loja.example/oferta?c=n3mtql"]}]}]`),
		},
		{
			Name: "retirada_loja", Language: "pt_BR", Category: "UTILITY", SubCategory: "ORDER_STATUS", Status: "APPROVED", Quality: "GREEN",
			Components: json.RawMessage(`[
{"type":"HEADER","format":"LOCATION"},
{"type":"BODY","text":"O pedido {{1}} espera por você nesta loja.","example":{"body_text":[["1042"]]}}]`),
		},
		codeTemplate("codigo_acesso", "pt_BR", 300, 5, ""),
		codeTemplate("codigo_acesso", "en_US", 300, 5, ""),
		codeTemplate("codigo_acesso", "es", 300, 5, ""),
		codeTemplate("codigo_seguro", "pt_BR", 300, 5, ""),
		codeTemplate("codigo_app", "pt_BR", 300, 5, "example.loja.app"),
		codeTemplate("codigo_app", "en_US", 300, 5, "example.loja.app"),
		codeTemplate("codigo_app", "es", 300, 5, "example.loja.app"),
		codeTemplate("codigo_antigo", "pt_BR", 0, 0, ""), // as of before October 2024: it is tried for 30 days
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

// HelloWorld is the template that Meta gives a new business account to try with.
func HelloWorld(waba string) Template {
	return Template{WABA: waba, Name: "hello_world", Language: "en_US", Category: "UTILITY", Status: "APPROVED", Quality: "UNKNOWN",
		Components: json.RawMessage(`[
{"type":"HEADER","format":"TEXT","text":"Hello World"},
{"type":"BODY","text":"Welcome! This message shows that your business can send from the Cloud API."},
{"type":"FOOTER","text":"WhatsApp Business Platform sample message"}]`)}
}

func plainMarketing(name, status, text string) Template {
	components := []map[string]any{{"type": "BODY", "text": text, "example": map[string]any{"body_text": [][]string{{"Ana"}}}}}
	return Template{Name: name, Language: "pt_BR", Category: "MARKETING", Status: status, Components: marshalled(components)}
}
