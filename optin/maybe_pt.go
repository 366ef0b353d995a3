package optin

// What may follow a verb of sending, receiving or stopping: nothing, our
// messages, or "this".
var ptAbout = []string{".", "nao .", "<det>* <msg> -<other>", "<det>* <this>"}

//nolint:misspell // Portuguese, as people write it
var portuguese = &language{
	name: "pt_BR",
	sets: map[string]map[string]bool{
		"not": words("nao n naum num nunca jamais nem"),
		"why": words("porque pq porq"),
		"if":  words("se caso porque pq porq"),
		"aux": words(`quero queria quis queremos gostaria desejo vou vamos precisa preciso precisam e eh era pra para pro que q me eu nos se de pedi pediu
			disse falei mandei pretendo to estou estava querendo deve devem pode podem`),
		"want":    words("quero queria qro kero quer queremos querendo desejo gostaria pretendo aceito autorizo aguento suporto preciso tenho interesse"),
		"more":    words("mais jamais nunca"),
		"me":      words("me nos mim pra"),
		"receive": words("receber recebe receba recber recebr recebendo"),
		"send":    words("mandar mandarem mandando mandarme mandr manda enviar enviarem enviando encaminhar encaminhando postar postando disparar empurrar"),
		"sendimp": words("mande mandem manda mandar envie enviem envia enviar encaminhe encaminhem"),
		"call":    words("ligue liguem liga ligar chame chamem chama chamar escreva escrevam escreve procure procurem procura contate contatem contactem contacte"),
		"annoy": words(`perturbe perturbem perturba perturbar incomode incomodem incomoda incomodar encha encham enche encher importune importunem
			importunar aborrecer atazanar`),
		"bother": words(`perturbar perturbando incomodar incomodando encher enchendo importunar importunando atazanar ligar ligando chamar chamando escrever
			escrevendo procurar contatar spamar`),
		"cease":  words("parar pare parem para param parassem parasse pararem paro parando deixar deixe deixem deixa cessar cesse cessem"),
		"cancel": words("cancelar cancela cancele cancelem cancelo suspender suspenda suspendam suspende desativar desativem bloquear interromper interrompa interrompam"),
		"quit":   words("sair saio parar paro cancelar cancelo descadastrar descadastro desinscrever desinscrevo desativar desativo"),
		"remove": words(`tira tire tirem tirar tirarem retira retire retirem retirar remove remova removam remover exclui exclua excluam excluir deleta delete
			deletem deletar apaga apague apaguem apagar elimina elimine eliminem eliminar descadastra descadastre descadastrem`),
		"leave": words("sair saio sai saia saindo"),
		"unsub": words(`descadastrar descadastre descadastra descadastrem descadastro descadrastar desinscrever desinscreva desinscrevam
			desinscricao`),
		"det": words(`a o as os um uma uns umas de da do das dos d esse essa esses essas este esta estes estas desse dessa desses dessas deste desta destes
			destas nesse nessa nesta seu sua seus suas tipo tanta tantas tanto tantos nenhum nenhuma qualquer mais toda todas todo todos tal com em por
			via pelo pela no na as outra outras outro nem aquele aquela nosso vossa`),
		"this": words("isso isto disso disto nada coisa coisas"),
		"msg": words(`mensagem mensagens msg msgs mensage mensagen mensagems mesagem mesagens menssagem menssagens sms zap zaps whats whatsapp wpp torpedo
			torpedos propaganda propagandas propagandinha promocao promocoes promo promos promocional promocionais oferta ofertas anuncio anuncios
			publicidade publicidades spam spams marketing novidade novidades informativo informativos conteudo conteudos divulgacao divulgacoes disparo
			disparos ligacao ligacoes notificacao notificacoes newsletter lixo porcaria porcarias comunicacao comunicacoes`),
		"pure": words("mensagem mensagens msg msgs propaganda propagandas publicidade spam anuncios promocoes newsletter"),
		"other": words(`boleto boletos cobranca cobrancas fatura faturas entrega entregas rastreio rastreamento pedido pedidos compra compras nota
			pagamento pagamentos codigo codigos lembrete lembretes consulta consultas voz audio email emails espera presentes casamento material
			convidados estudo estudos escola oracao`),
		"list": words("lista listas grupo grupos transmissao mailing canal disso disto daqui dai cadastro contatos sistema newsletter divulgacao"),
		"mine": words("meu meus minha eu o os este esse desse deste"),
		"self": words("nome numero numeros contato contatos telefone tel cel celular zap whats whatsapp cadastro dados"),
		"old":  words("antigo antiga velho velha anterior segundo"),
		"code": words("codigo codigos token tokens"),
	},
	rules: []rule{
		{name: "no_more_codes", notAfter: "why",
			heads: []string{"<not> <want>? <more>? <receive> <more>?", "<not> <me>? <sendimp> <more>"}, tails: []string{"<det>* <code>"}},
		{name: "no_more_codes", notAfter: "not", heads: []string{"<cease> de <me>? <send>/receber <me>? <det>* <code>"}},
		{name: "no_more_messages", notAfter: "why",
			heads: []string{"<not> <want>? de? <more>? em? <receive> <more>?"}, tails: ptAbout},
		{name: "no_more_messages", heads: []string{"<not> tenho/ha <more>? <det>* interesse em receber"}, tails: ptAbout},
		{name: "no_more_messages",
			heads: []string{"<not> <want> <more>? ser contatado/contatada/contactado/incomodado/incomodada", "<not> <want> <more>? saber <more>? nada", "<not> <want> <more>? fazer/participar/estar/ficar parte? <det>* <list> -<other>",
				"<not> <want> <more> <det>* <msg> -<other>", "<not> <want> <det>* <pure> -<other>", "<not> <want> <more>? <receive>? <more>? contato/contatos .",
				"<not> <want> <more>? ver/ler <det>* <msg>", "sem mais <det>* <msg> -<other>"}},
		{name: "no_more_messages", heads: []string{"chega/basta/cansei/cansado/cansada/farto/farta de receber?"},
			tails: []string{"<det>* <msg> -<other>", "tanta/tanto <msg>"}},
		{name: "no_more_at_all", whole: true, heads: []string{"^ eu? <not> quero/queremos mais nao? ."}},
		{name: "stop_sending", notAfter: "not",
			heads: []string{"<cease> de/d ficar? <me>? <send> <me>? <more>?", "<cease> de/d receber"}, tails: ptAbout},
		{name: "stop_sending", notAfter: "not", heads: []string{"<cease> de/d ficar? <me>? <bother>", "<cease> com <det>* <msg>/isso -<other>",
			"<cease> <det>* <pure> .", "^ parem !", "^ para !", "^ pode/podem/da/tem/queria/gostaria/vamos/como* pra/para/de? parar/sair !"}},
		{name: "stop_sending", heads: []string{"nao/n/num/nunca param/para/parou/pararam/paravam/cansam/deixam de ficar? <me>? <send>/<bother>"}},
		{name: "still_sending", heads: []string{"continuam/continua/seguem/segue/insistem/insiste em? <me>? <send>/<bother>"}, tails: []string{"<me>? .", "<det>* <msg> -<other>", "<det>* <this>"}},
		{name: "too_many", heads: []string{"<msg> demais", "que saco <det>* <msg>", "e muita/muito <msg>", "tanta/tantas <pure>"}},
		{name: "do_not_send", notAfter: "why",
			heads: []string{"<not> <want>? que? <me>? <sendimp> <me>? <more>"}, tails: ptAbout},
		{name: "do_not_send", notAfter: "why", heads: []string{"<not> <want>? que? <me>? <sendimp> <me>?"},
			tails: []string{"<det>* <msg> -<other>", "<more>? nada", "isso/isto"}},
		{name: "do_not_send", notAfter: "why", heads: []string{"<not> fique/fiquem/fica/ficar <me>? <send> <me>?"}, tails: ptAbout},
		{name: "do_not_send", notAfter: "why", heads: []string{"<not> fique/fiquem/fica/ficar <me>? <bother>", "<not> <want>? que? <me>? <call> <me>? <more>", "<not> me procure/procurem/contate/contatem/contactem/escreva/escrevam .",
			"<not> <want>? que? <me>? <annoy> <me>?", "<not> entre/entrem/entrar <more>? em contato"}},
		{name: "do_not_send", notAfter: "why", heads: []string{"<not> precisa/precisam <more> <me>? <send> <me>?", "<not> precisa/precisam <me>? <send> <me>? <more>"},
			tails: ptAbout},
		{name: "do_not_send", notAfter: "why", heads: []string{"<not> precisa/precisam <me>? <send> <me>? <det>* <msg> -<other>"}},
		{name: "unsubscribe", notAfter: "not", heads: []string{"<unsub> me/eu?", "<cancel>/remover <det>* <mine>? inscricao/inscricoes"},
			tails: []string{".", "<det>* <list> -<other>", "<det>* <msg> -<other>", "<det>* <mine>? <self>"}},
		{name: "unsubscribe", notAfter: "not", heads: []string{"<cancel>/bloquear <det>* <pure> -<other>", "<cancel> <det>* envio/envios/recebimento <det>* <msg> -<other>"}},
		{name: "remove_me", notAfter: "not", heads: []string{"me <remove>", "<remove> eu/me/nos/nois", "me deixa/deixe/deixem/poe fora"},
			tails: []string{".", "<det>* <list> -<other>", "<det>* <this>"}},
		{name: "remove_me", notAfter: "not", heads: []string{"<remove> <det>* <mine> <self> -<old>", "bloqueia/bloqueie/bloqueiem <det>* <mine> numero/contato ."}},
		{name: "remove_me", notAfter: "not", heads: []string{"exclusao/remocao/retirada <det>* <mine>? <self>/inscricao", "ser removido/removida/excluido/excluida/retirado/retirada/tirado/tirada <det>* <list>"}},
		{name: "leave_list", notAfter: "not", heads: []string{"<leave> fora? <det>* <list> -<other>", "<leave> <det>* <pure> -<other>"}},
		{name: "how_to_leave", notAfter: "not", heads: []string{"como/onde .. <quit>"}, tails: []string{".", "<det>* isso/disso/isto .", "<det>* <pure> -<other>", "com isso"}},
		{name: "leave_me_alone", notAfter: "not", heads: []string{"me deixa/deixe/deixem em paz", "deixa/deixe/deixem eu/me em paz", "me erra/errem/esquece/esquecam/esqueca",
			"some/suma/sumam daqui", "enche/encher/enchem/enchendo <det>* saco", "^ chega !", "^ basta !", "chega/basta disso",
			"vai/vao/va encher/perturbar/incomodar"}},
		{name: "will_block", notAfter: "not", heads: []string{"vou/irei/estou/to/tou/terei ter? que? de? <me>/te/lhe? bloquear/bloqueando/denunciar/denunciando"},
			tails: []string{".", "<det>* numero/contato", "como spam"}},
		{name: "spam", heads: []string{"isso/isto/e/eh/puro/muito spam !"}},
		{name: "wrong_person", heads: []string{"^ e/eh? <det>* numero/pessoa errado/errada !", "mandando/mandaram/falando/enviando .. pessoa/numero errado/errada",
			"esse/este numero nao/n e/eh/pertence", "^ <not> sou <det>* <det> .. !"}},
		{name: "never_asked", heads: []string{"<not> eu? autorizei/autorizo/consenti/permiti/autorizamos"},
			tails: []string{".", "<det>* <this>", "<det>* <msg> -<other>", "<det>* envio/contato/uso", "ninguem", "a? que? <me>? <send>/<sendimp>", "receber"}},
		{name: "never_asked", heads: []string{"<not> eu? me cadastrei/inscrevi/registrei",
			"<not> eu? dei permissao/autorizacao/consentimento", "<not> eu? pedi/solicitei/aceitei pra/para? receber",
			"<not> eu? pedi/solicitei/aceitei <det>* <pure>"}},
		{name: "revoke_consent", notAfter: "not", heads: []string{"revogo/revogar/retiro/retirar <det>* <mine>? autorizacao/consentimento"}},
	},
}
