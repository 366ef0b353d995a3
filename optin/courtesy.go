package optin

// What people write around a wish, in any of the languages: it is taken out
// before the rules look. A word that decides anything must not stand here.
var courtesies = words(
	// Portuguese
	`oi oie ola opa ei eai bd boa noite favor pfv pfvr pfvor pff pf porfavor porgentileza obrigado obrigada brigado brigada obg obgd obrigadu vlw valeu
	grato grata gente pessoal galera moco moca amigo amiga querido querida senhor senhora sr sra dona atencao ai ae ja agora logo urgente urgentemente
	imediatamente mesmo mesma tambem tbm tb so somente apenas entao viu ta ne ok okay blz beleza desculpa desculpe desculpem vc vcs voce voces ces amor
	deus rs kk kkk haha tchau abs abraco aff afe mano cara nossa po poxa atenciosamente aff logo`,
	// Spanish
	`hola buenas buenos porfa porfis plis gracias grax saludos senor senora senorita disculpe disculpa disculpen perdon ya ahora ahorita entonces
	che oye oiga oigan ustedes usted uds ud vos pues bueno vale listo inmediatamente tambien solo solamente cordialmente`,
	// English
	`hi hello hey please pls plz plss thanks thx ty tks guys folks sir madam maam dear just now already right immediately asap kindly either also
	ok damn`,
)

// Two words that are one, or none.
var pairs = map[string]string{
	"por favor": "", "por gentileza": "", "faz favor": "", "bom dia": "", "boa tarde": "", "boa noite": "", "muito obrigado": "", "muito obrigada": "",
	"buenos dias": "", "buen dia": "", "buenas tardes": "", "buenas noches": "", "muchas gracias": "", "por favorcito": "",
	"x favor": "", "x fa": "", "p favor": "", "lo pido": "", "los pido": "", "good morning": "", "good afternoon": "", "good evening": "",
	"thank you": "", "thank u": "", "please and": "",
	"por que": "porque", "por q": "porque", "e mail": "email", "e mails": "email", "whats app": "whatsapp", "opt out": "optout", "opting out": "optout",
	"do not": "dont", "don t": "dont", "did not": "didnt", "is not": "isnt", "any more": "anymore", "no longer": "nolonger", "i am": "im",
	"i will": "ill", "text messages": "texts", "text message": "text", "de el": "del", "no one": "nobody",
	"fed up": "fedup", "why did": "whydid", "porque deje": "porque", "ya no": "yano", "o que": "oq", "que hago": "como", "que hacer": "como",
}

// Short words as they are often mistyped.
//
//nolint:misspell // on purpose
var typos = map[string]string{"stp": "stop", "stopp": "stop", "stpo": "stop", "sotp": "stop", "sttop": "stop", "siar": "sair", "bja": "baja"}

// What is left of "from you" when the courtesy is gone, at the end of a clause.
var dangling = words("de da del pra para")

// The long words in which a mistake is mended.
var longWords = []string{"unsubscribe", "descadastrar", "descadastre", "desinscrever", "desuscribir", "desuscribirme", "desinscribir", "mensagem",
	"mensagens", "propaganda", "promocoes", "mensaje", "mensajes", "promociones", "publicidad", "escriban", "message", "messages", "texting", "messaging"}

// Words that look like them and are no mistake, beside all that stand in a table.
//
//nolint:misspell // Portuguese and Spanish
var notLong = words(`descadastra descadastrem descadastro cadastrar inscrever passagem passagens mensal mensais promocional
	desuscribirse desuscribirte suscribir suscribirme escriba escribas escriben escribian
	unsubscribes unsubscribed unsubscriber subscribe massage massages messaged messenger testing massaging`)
