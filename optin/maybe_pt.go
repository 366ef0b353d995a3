package optin

// What may follow a verb of sending, receiving or stopping: nothing, our
// messages, or "this".
var ptAbout = []string{".", "nao .", "<det>* <msg> -<other>", "<det>* <this>"}

//nolint:misspell // Portuguese, as people write it
var portuguese = &language{
	name: "pt_BR",
	sets: map[string]map[string]bool{
		"not": words("nao no n naum num nunca jamais nem"),
		"why": words("porque pq porq"),
		"if":  words("se caso porque pq porq"),
		"aux": words(`quero queria quis queremos gostaria desejo vou vamos precisa preciso precisam e eh era pra para pro que q me eu nos se de pedi pediu
			disse falei mandei pretendo to estou estava querendo deve devem pode podem`),
		"want":    words("quero queria qro kero quer queremos querendo desejo gostaria pretendo aceito autorizo aguento suporto preciso tenho interesse"),
		"more":    words("mais jamais nunca"),
		"me":      words("me nos mim pra"),
		"receive": words("receber receba recber recebr recebendo"),
		"send":    words(inflect("mand envi encaminh post dispar empurr", "ar arem ando"), "mandarme mandr manda"),
		"sendimp": words(inflect("mand envi encaminh dispar", "e em a ar arem asse assem"), "mandi chegue cheguem"),
		"call":    words(inflect("cham procur contat", "e em a ar arem"), "ligue liguem liga ligar escreva escrevam escreve escrever contactem contacte"),
		"annoy":   words(inflect("perturb incomod importun", "e em a ar arem"), "encha encham enche encher aborrecer atazanar insista insistam"),
		"bother": words(`perturbar perturbando incomodar incomodando encher enchendo importunar importunando atazanar ligar ligando chamar chamando escrever
			escrevendo procurar contatar spamar`),
		"cease":  words("parar pare parem para param parassem parasse pararem paro parando deixar deixe deixem deixa cessar cesse cessem paren"),
		"cancel": words(inflect("cancel desativ", "e em a ar arem asse assem o"), "suspender suspenda suspendam suspende bloquear interromper interrompa interrompam"),
		"quit":   words("sair saio parar paro cancelar cancelo descadastrar descadastro desinscrever desinscrevo desativar desativo"),
		"remove": words(inflect("tir retir delet elimin", "e em a ar arem asse assem"), inflect("remov", "a am e er erem esse essem"), inflect("exclu", "a am i ir irem isse issem"),
			inflect("descadastr", "e em a ar"), "desvincular desligar apaga apague apaguem apagar apagarem apagasse apagassem"),
		"removed": words("retirado retirada retirados removido removida removidos excluido excluida excluidos apagado apagada apagados tirado tirada deletado"),
		"annoyed": words("saco cheio cheia inferno chato chata chatos chatas insuportavel insuportaveis irritante irritantes absurdo cansativo cansada cansado cansei poupe odeio detesto merece",
			"inconveniente inconvenientes insistente insistentes invasivo invasivos invasiva perseguicao assedio"),
		"leave": words("sair saio sai saia saindo"),
		"unsub": words(`descadastrar descadastre descadastra descadastrem descadastro descadrastar desinscrever desinscreva desinscrevam
			desinscricao descadastramento`),
		"det": words(`a o as os um uma uns umas de da do das dos d esse essa esses essas este esta estes estas desse dessa desses dessas deste desta destes
			destas nesse nessa nesta seu sua seus suas tipo tanta tantas tanto tantos nenhum nenhuma qualquer mais toda todas todo todos tal com em por
			via pelo pela no na as outra outras outro nem aquele aquela nosso vossa`),
		"this": words("isso isto disso disto nada nd coisa coisas"),
		"msg": words(`mensagem mensagens msg msgs mensage mensagen mensagems mesagem mesagens menssagem menssagens sms zap zaps whats whatsapp wpp torpedo
			torpedos propaganda propagandas propagandinha promocao promocoes promo promos promocional promocionais oferta ofertas anuncio anuncios
			publicidade publicidades spam spams marketing novidade novidades informativo informativos conteudo conteudos divulgacao divulgacoes disparo
			disparos ligacao ligacoes notificacao notificacoes newsletter lixo porcaria porcarias comunicacao comunicacoes mensaje mensajes`),
		"pure": words("mensagem mensagens msg msgs propaganda propagandas publicidade spam anuncios promocoes newsletter mensaje mensajes"),
		"other": words(`boleto boletos cobranca cobrancas fatura faturas entrega entregas rastreio rastreamento pedido pedidos compra compras nota
			pagamento pagamentos codigo codigos lembrete lembretes consulta consultas voz audio email emails espera presentes casamento material
			convidados estudo estudos escola oracao`),
		"list":  words("lista listas grupo grupos transmissao mailing canal disso disto daqui dai cadastro contatos sistema newsletter divulgacao envio envios porcaria merda banco base"),
		"mine":  words("meu meus minha eu o os este esse desse deste"),
		"self":  words("nome numero numeros contato contatos telefone tel cel celular zap whats whatsapp cadastro dados"),
		"old":   words("fila pedido reserva mesa consulta turma antigo antiga velho velha anterior segundo"),
		"code":  words("codigo codigos token tokens"),
		"cut":   words(inflect("cancel par cess", "e em ar arem asse assem"), "cancela suspender suspendam interromper interrompam bloquear bloqueiem desativar cancelamento suspensao interrupcao"),
		"many":  words("mensagens msgs propaganda propagandas promocoes promos ofertas spam spams disparos anuncios publicidade mensajes"),
		"lose":  words("perder deixar parar sair cancelar bloquear que nenhuma ficar"),
		"wrote": words("escrevi digitei respondi mandei coloquei enviei falei"),
		"go":    words("e mas pra para pq porque pois por que desde antes"),
	},
	rules: []rule{
		{name: "no_more_messages", notAfter: "why", // "não quero mais receber isso"
			heads: []string{
				"<not> <want>? de? <more>? em? <receive> <more>?",
				"<not> tenho/ha <more>? <det>* interesse em .. <receive>",
				"<not> estou/to <more>? interessado/interessada em .. <receive>",
				"<not> <want> <more>? recebe",
			},
			tails: ptAbout},
		{name: "no_more_messages", // "não quero propaganda", "chega de mensagem"
			heads: []string{
				"<not> <want> <more> <det>* <msg> -<other>",
				"<not> <want> <det>* <pure>/ofertas -<other>",
				"<not> <want> ~<lose> .. <many> -<other>",
				"<not> <want> <more>? ver/ler <det>* <msg>",
				"<not> me interessa/interessam <det>* <pure>",
				"<not> tenho <more>? interesse <det>* <pure>",
				"<not> <want> <more>? <receive>? <more>? contato/contatos .",
				"<not> <want> <more>? ser contatado/contatada/contactado/incomodado/incomodada",
				"<not> <want> <more>? saber <more>? nada",
				"<not> <want> nada de .",
				"<not> <want> <more>? fazer/participar/estar/ficar parte? <det>* <list> -<other>",
				"sem mais <det>* <msg> -<other>",
				"^ sem/dispenso <det>* <pure> .",
				"chega/basta/cansei/cansado/cansada/farto/farta de receber? <det>* <msg> -<other>",
			}},
		{name: "no_more_at_all", whole: true, heads: []string{"^ eu? <not> quero/queremos mais nao? ."}},
		{name: "no_more_codes", notAfter: "why", // "não quero mais receber códigos"
			heads: []string{
				"<not> <want>? <more>? <receive> <more>? <det>* <code>",
				"<not> <me>? <sendimp> <more> <det>* <code>",
				"<cease> de <me>? <send>/receber <me>? <det>* <code>",
			}},
		{name: "stop_sending", notAfter: "not", // "parem de me mandar mensagem"
			heads: []string{
				"<cease> de/d ficar? <me>? <send> <me>? <more>?",
				"<cease> de/d receber",
				"basta/chega/cansei de <me>? <send>/receber <me>?",
				"evite/evitem/evita <me>? <send> <me>?",
			},
			tails: ptAbout},
		{name: "stop_sending", notAfter: "not", // "para com isso", "pode parar"
			heads: []string{
				"<cease> de/d ficar? <me>? <bother>",
				"<cease> com <det>* <msg>/isso -<other>",
				"<cease> <det>* <pure> .",
				"<cut> .. <many> -<other>",
				"stop <me>? <send> <det>* <msg>",
				"^ parem !",
				"^ para !",
				"^ pode/podem/da/tem/queria/gostaria/vamos/como* pra/para/de? parar/sair !",
			}},
		{name: "stop_sending", // "vocês não param de mandar mensagem": a complaint
			heads: []string{"nao/n/num/nunca param/para/parou/pararam/paravam/cansam/deixam de ficar? <me>? <send>/<bother>"},
			tails: []string{"<me>? .", "<me>? <det>* <pure>/ofertas", "<me>? isso"}},
		{name: "asked_before", notAfter: "not", // "já falei pra parar"
			heads: []string{
				"pedi/pedir/pedindo/peco/falei/falar/disse/dizer/avisei/aviso .. parar/parem/pararem/sair .",
				"ultima vez que .. aviso/peco/falo !",
				"<wrote> sair/parar/stop/pare/descadastrar .",
				"<wrote> sair/parar/stop/pare/descadastrar <go>",
			}},
		{name: "still_sending", // "continuam me mandando mensagem"
			heads: []string{
				"continuam/continua/continuarem/continuar/seguem/segue/insistem/insiste/insistirem em? <me>? <send>/<bother> <me>?",
				"ainda/continuo recebo/recebendo",
				"continua/continuam chegando/vindo <det> <pure>",
				"continua/continuam chegando/vindo <pure>",
				"porque eu? estou/to? recebo/recebendo",
			},
			tails: []string{".", "<det>* <msg> -<other>", "isso/isto/disso"}},
		{name: "annoyed", // "é mensagem demais", "que saco essas mensagens"
			heads: []string{
				"<pure> demais !",
				"e muita/muito <pure>",
				"tanta/tantas <pure>",
				"<annoyed> .. <many>",
				"<det> <pure>/spam .. <annoyed> !",
				"que/puro/tanto/muito spam !",
				"que/puro/tanto/muito spam <annoyed>",
				"sao .. <annoyed> !",
			}},
		{name: "do_not_send", notAfter: "why", // "não me mande mais nada"
			heads: []string{
				"<not> <want>? que? <me>? <sendimp> <me>? <more>",
				"<not> precisa/precisam <more> <me>? <send> <me>?",
				"<not> precisa/precisam <me>? <send> <me>? <more>",
				"<not> fique/fiquem/fica/ficar <me>? <send> <me>?",
			},
			tails: ptAbout},
		{name: "do_not_send", notAfter: "why", // "não me ligue mais", "não me perturbem"
			heads: []string{
				"<not> <want>? que? <me>? <sendimp> <me>? <det>* <msg> -<other>",
				"<not> <want>? que? <me>? <sendimp> <me>? <more>? nada/nd",
				"<not> <want>? que? <me>? <sendimp> <me>? isso/isto",
				"<not> precisa/precisam <me>? <send> <me>? <det>* <msg> -<other>",
				"<not> <want>? que? <me>? <call> <me>? <more>",
				"<not> me procure/procurem/contate/contatem/contactem/escreva/escrevam .",
				"<not> <want>? que? <me>? <annoy> <me>?",
				"<not> fique/fiquem/fica/ficar <me>? <bother>",
				"<not> entre/entrem/entrar <more>? em contato",
				"^ <not> enviar/mandar/contatar/perturbar !",
			}},
		{name: "unsubscribe", notAfter: "not", // "quero me descadastrar da lista"
			heads: []string{
				"<unsub> me/eu?",
				"<cancel>/remover <det>* <mine>? inscricao/inscricoes",
			},
			tails: []string{".", "<det>* <list> -<other>", "<det>* <msg> -<other>", "<det>* <mine>? <self>"}},
		{name: "unsubscribe", notAfter: "not", // "cancela essas mensagens"
			heads: []string{
				"<cancel>/bloquear <det>* <pure> -<other>",
				"<cancel> <det>* envio/envios/recebimento <det>* <msg> -<other>",
			}},
		{name: "remove_me", notAfter: "not", // "me tira dessa lista"
			heads: []string{
				"me <remove>",
				"<remove> eu/me/nos/nois/ela/ele",
				"me deixa/deixe/deixem/poe fora",
				"seja/sejam/ser/fosse <removed> <mine>? <self>?",
			},
			tails: []string{".", "fora .", "<det>* <list> -<other>", "isso/isto/disso/disto"}},
		{name: "remove_me", notAfter: "not", // "apaguem meus dados"
			heads: []string{
				"bloqueia/bloqueie/bloqueiem <det>* <mine> numero/contato .",
				"exclusao/remocao/retirada <det>* <mine>? <self>/inscricao",
				"direito/direitos/exclusao .. lgpd/esquecimento/exclusao",
			}},
		{name: "remove_me", notAfter: "not", // "tirem meu número dessa lista"
			heads: []string{"<remove>/esqueca/esquecam/esquece <det>* <mine> <self>"},
			tails: []string{".", "<det>* <list> -<other>", "<det>* disso/disto/daqui/dai", "<go>"}},
		{name: "leave_list", notAfter: "not", // "quero sair desse grupo"
			heads: []string{
				"<leave> fora? <det>* <list> -<other>",
				"<leave> <det>* <pure> -<other>",
			}},
		{name: "how_to_leave", notAfter: "not", // "como faço pra sair?"
			heads: []string{"como/onde/qual/oq .. ~cancelar/cancelo <quit>", "^ como/onde .. cancelar/cancelo"},
			tails: []string{".", "<det>* isso/disso/isto .", "<det>* <pure> -<other>", "com isso", "de receber"}},
		{name: "leave_me_alone", notAfter: "not", // "me deixa em paz"
			heads: []string{
				"me deixa/deixe/deixem em paz",
				"deixa/deixe/deixem eu/me em paz",
				"me erra/errem/esquece/esquecam/esqueca",
				"some/suma/sumam daqui",
				"enche/encher/enchem/enchendo <det>* saco",
				"vai/vao/va encher/perturbar/incomodar",
				"^ chega !",
				"^ basta !",
				"chega/basta disso",
			}},
		{name: "will_block", notAfter: "not", // "vou denunciar como spam"
			heads: []string{"vou/irei/estou/to/tou/terei ter? que? de? <me>/te/lhe? bloquear/bloqueando/denunciar/denunciando/reportar/reportando"},
			tails: []string{".", "<det>* numero/contato", "como spam", "se .."}},
		{name: "will_block", notAfter: "not", // "eu processo vocês"
			heads: []string{
				"^ eu? bloqueado/bloqueados/bloqueada/bloqueei/denunciado e? denunciado/denunciados/denunciei? !",
				"eu/vou/irei processo/processar !",
				"eu/proxima .. bloqueio/denuncio .",
			}},
		{name: "spam", heads: []string{"isso/isto/e/eh/puro/muito spam !", "^ spam !", "^ spam .. !"}},
		{name: "wrong_person", // "esse número não é da Maria"
			heads: []string{
				"^ e/eh? <det>* numero/pessoa errado/errada !",
				"<send>/mandaram/falando .. pessoa/numero errado/errada",
				"esse/este numero/celular/telefone/tel/zap/whats/contato nao/n e/eh/pertence",
				"numero mudou .. dono",
				"mudou .. dono <det>* numero/celular",
				"esse/este numero/celular/telefone e/eh do/da/de meu/minha/outra/outro",
				"^ aqui nao/n e/eh/mora a/o/nenhum/nenhuma",
				"ela/ele trocou/mudou de numero",
				"^ <not> sou a/o/essa/esse .. !",
			}},
		{name: "never_asked", // "nunca autorizei vocês a me mandar mensagem"
			heads: []string{"<not> eu? autorizei/autorizo/consenti/permiti/autorizamos"},
			tails: []string{".", "<det>* <this>", "<det>* <msg> -<other>", "<det>* envio/contato/uso", "ninguem", "a? que? <me>? <send>/<sendimp>", "receber"}},
		{name: "never_asked", // "não me cadastrei"
			heads: []string{
				"<not> eu? me cadastrei/inscrevi/registrei",
				"<not> eu? dei/passei/forneci <det>* <mine>? numero/contato/telefone/whats",
				"<not> eu? dei permissao/autorizacao/consentimento",
				"<not> eu? pedi/solicitei/aceitei pra/para? receber",
				"<not> eu? pedi/solicitei/aceitei <det>* <pure>",
			}},
		{name: "revoke_consent", notAfter: "not", // "revogo meu consentimento"
			heads: []string{"revogo/revogar/retiro/retirar <det>* <mine>? autorizacao/consentimento"}},
	},
}
