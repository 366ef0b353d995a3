package optin

var esAbout = []string{".", "<det>* <msg> -<other>", "<det>* <this>"}

//nolint:misspell // Spanish, as people write it
var spanish = &language{
	name: "es",
	sets: map[string]map[string]bool{
		"not": words("no yano nunca jamas tampoco ni"),
		"why": words("porque pq xq"),
		"if":  words("si porque pq xq"),
		"aux": words(`quiero quise queremos quisiera queria deseo voy vamos necesito es para que q me yo nos se de pedi pedia dije a mi les te he pedido hace falta
			pueden puede deben`),
		"want":    words("quiero quero kiero queremos quisiera queria deseo deseamos gustaria acepto autorizo necesito soporto aguanto interesa interesan"),
		"more":    words("mas nunca jamas"),
		"me":      words("me nos mi a"),
		"receive": words("recibir recibirlos recibirlas recibiendo recivir resibir recibo reciba"),
		"send":    words(inflect("mand envi", "ar arme arnos ando andome andonos"), "escribir escribirme escribirnos escribiendo escribiendome"),
		"sendimp": words(inflect("mand envi", "e en es a ar ara aran eis"), "lleguen llegue escriba escriban escribas escribir"),
		"call":    words("llame llamen llames llamar contacte contacten contactes contactar busquen busque escriba escriban escribas"),
		"annoy":   words(inflect("molest fastidi", "e en es ar"), "joda jodan jodas joder chinguen chingues friegue frieguen acosen insistan insista insistas"),
		"bother": words(`molestar molestarme molestando molestandome joder joderme jodiendo fastidiar fastidiarme fastidiando llamar llamarme llamando llamandome
			contactar contactarme escribirme escribiendome acosar acosarme chingar insistir spamear`),
		"cease":  words("deja deje dejen dejes dejar dejaran dejad dejo dejame dejenme dejeme paren pare para parar pararan paro cesen cese cesar eviten"),
		"cancel": words(inflect("cancel anul desactiv", "ar a e en es aran o"), "suspender suspendan bloquear"),
		"quit":   words("salir salgo parar paro cancelar cancelo salirme desuscribirme desuscribo desactivar desactivo"),
		"remove": words(inflect("quit borr elimin retir", "a e en es ar aran ara an"), "saca saque saquen saques sacar sacaran sacara sacan remover remuevan remueva"),
		"removeme": words(`sacame saquenme saqueme sacarme quitame quitenme quiteme quitarme borrame borrenme borreme borrarme eliminame eliminenme elimineme
			eliminarme retirenme retirame retirarme remuevanme`),
		"removed": words("eliminado eliminada borrado borrada removido removida retirado retirada quitado quitada excluido excluida"),
		"annoyed": words("harto harta hartos pesado pesados pesada pesadas fastidio insoportable insoportables molesto molesta molestos cansan cansado cansada hartan coronilla odio detesto",
			"cansones cansadores insistentes insistente invasivos invasivo acoso"),
		"role":  words("de del yo la el quien cliente socio socia seguro segura mayor menor alergico alergica experto experta nuevo nueva"),
		"leave": words("salir salirme salgo saliendo salirnos"),
		"unsub": words(`desuscribir desuscribirme desuscribirse desuscribanme desuscribame desuscribeme desuscribete desuscribo desuscripcion desinscribir
			desinscribirme desinscribanme desapuntarme desafiliarme desuscriben desuscriba desuscriban`),
		"give": words("dar darme darnos darse denme deme den de dame da doy di dense den dese darnos"),
		"det": words(`el la los las lo un una unos unas de del al da este esta estos estas ese esa esos esas su sus tu tus tipo tanto tanta tantos tantas ningun
			ninguna ninguno cualquier mas todo toda todos todas tal con en por via otro otra otros otras aquel ni a`),
		"this": words("esto eso nada cosas cosa esos estos"),
		"msg": words(`mensaje mensajes mensage mensages msj msjs mje mjes msg msgs sms whatsapp wasap wasaps whatsapps wsp wpp promocion promociones promo promos
			promocionales oferta ofertas publicidad publicidades propaganda propagandas anuncio anuncios spam marketing novedades informacion info
			informaciones contenido notificaciones notificacion llamadas newsletter boletin boletines cadenas basura porqueria porquerias comunicaciones mensagem mensagens`),
		"pure": words("mensaje mensajes msj msjs publicidad propaganda spam anuncios newsletter promociones mensagem mensagens"),
		"other": words(`factura facturas boleta boletas cobro cobros cobranza entrega envio envios pedido pedidos pago pagos compra compras codigo codigos
			recordatorio recordatorios cita citas turno turnos voz audio correo correos email emails mail espera regalos boda invitados estudio`),
		"list":  words("lista listas grupo grupos difusion canal base mailing contactos aqui ahi aca esto eso newsletter boletin boletines sistema registro registros"),
		"mine":  words("mi mis este ese"),
		"self":  words("numero numeros contacto telefono tel celular cel nombre datos whatsapp wasap registro registros"),
		"old":   words("viejo vieja antiguo antigua anterior"),
		"code":  words("codigo codigos token tokens"),
		"peace": words("paz tranquilo tranquila tranquilos"),
		"cut":   words(inflect("cancel anul", "ar a e en es aran"), "paren pare parar cesar cesen cese suspender suspendan suspension cancelacion bloquear desactivar"),
		"many":  words("mensajes msj msjs mjes publicidad propaganda promociones promos ofertas spam anuncios cadenas mensagens"),
		"lose":  words("perder perderme dejar parar salir cancelar bloquear que quedarme"),
		"wrote": words("escribi mande puse envie respondi dije teclee"),
		"go":    words("y pero para porque pq por que desde antes"),
	},
	rules: []rule{
		{name: "no_more_messages", notAfter: "why", // "ya no quiero recibir nada"
			heads: []string{
				"<not> me? <want>? <more>? <receive> <more>?",
				"<not> <want> seguir recibiendo",
				"<not> tengo <more>? interes en .. <receive>",
			},
			tails: esAbout},
		{name: "no_more_messages", // "no quiero publicidad", "basta de mensajes"
			heads: []string{
				"<not> me? <want> <more> <det>* <msg> -<other>",
				"<not> me? <want> <det>* <pure>/ofertas -<other>",
				"<not> <want> ~<lose> .. <many> -<other>",
				"<not> me interesa/interesan nada .. esto/eso",
				"<not> <want> <more> nada",
				"<not> <want> nada de .",
				"<not> <want> <more>? saber <more>? nada",
				"<not> <want> <more>? ser contactado/contactada/molestado/molestada",
				"<not> <want> <more>? estar/seguir/formar/participar/figurar parte? <det>* <list> -<other>",
				"no mas <det>* <msg> -<other>",
				"^ sin <det>* <pure> .",
				"basta/no/harto/harta/cansado/cansada de recibir? <det>* <msg>",
			}},
		{name: "no_more_at_all", whole: true, heads: []string{"^ yo? no/yano quiero/queremos mas .", "^ yo? yano quiero/queremos ."}},
		{name: "no_more_codes", notAfter: "why", // "no quiero recibir más códigos"
			heads: []string{
				"<not> <want>? <more>? <receive> <more>? <det>* <code>",
				"<not> <me>? <sendimp> <more> <det>* <code>",
				"<cease> de <me>? <send>/recibir <det>* <code>",
			}},
		{name: "stop_sending", notAfter: "not", // "dejen de mandarme mensajes"
			heads: []string{
				"<cease> de <me>? <send>",
				"<cease> de recibir",
				"eviten/evite/evita <send>",
			},
			tails: esAbout},
		{name: "stop_sending", notAfter: "not", // "paren con los mensajes", "dejen de molestar"
			heads: []string{
				"<cease> de <me>? <bother>",
				"<cease>/cortenla/cortala/bajenle/parenle/dejenle con/a <det>* <msg>/esto/eso -<other>",
				"<cease> <det>* <pure> .",
				"<cut> .. <many> -<other>",
				"stop <send> <det>* <msg>",
				"^ paren !",
				"^ parenle/parale !",
				"^ pueden/puede/podrian/quisiera* parar/salir !",
			}},
		{name: "stop_sending", // "no paran de mandar mensajes": a complaint
			heads: []string{"no paran/dejan/para/deja/cansan de <me>? <send>/<bother>"},
			tails: []string{".", "<det>* <pure>/ofertas"}},
		{name: "asked_before", notAfter: "not", // "ya les dije que paren"
			heads: []string{
				"pedi/pedir/pido/dije/decir/digo/avise/aviso .. paren/parar/dejen/salir !",
				"ultima vez que .. aviso/pido/digo !",
				"<wrote> baja/salir/stop/parar .",
				"<wrote> baja/salir/stop/parar <go>",
				"cuantas veces .. <not> <want> .. <msg>",
			}},
		{name: "still_sending", // "siguen mandando mensajes"
			heads: []string{
				"siguen/sigue/continuan/continua/insisten/insiste en? <me>? <send>/<bother>",
				"sigo/seguimos recibiendo",
				"siguen/sigue llegando/entrando/viniendo",
				"porque recibo/recibimos",
			},
			tails: []string{".", "<det>* <msg> -<other>", "esto/eso"}},
		{name: "annoyed", // "estoy harto de tantos mensajes"
			heads: []string{
				"demasiados/demasiadas/tantos/tantas/tanta/mucha <det>* <pure>",
				"muchos mensajes !",
				"<annoyed> .. <many>",
				"que/puro/tanto/mucho spam !",
				"<det> <pure> .. <annoyed> !",
				"son .. <annoyed> !",
			}},
		{name: "do_not_send", notAfter: "why", // "no me manden más nada"
			heads: []string{
				"<not> <want>? que? <me>? <sendimp> <more>",
				"yano <want>? que? <me>? <sendimp>",
				"<not> sigan/siga <send>",
			},
			tails: esAbout},
		{name: "do_not_send", notAfter: "why", // "no me escriban más", "no me molesten"
			heads: []string{
				"<not> <want>? que? <me>? <sendimp> <det>* <msg> -<other>",
				"<not> <want>? que? <me>? <sendimp> <more>? nada",
				"<not> <want>? que? <me>? <call> <more>",
				"yano <want>? que? <me>? <call>",
				"<not> me contacte/contacten/contactes/busquen/escriba/escriban/escribas .",
				"<not> <want>? que? <me>? <annoy>",
				"<not> esten/estes/este/sigan/siga <bother>",
				"<not> <want> que <me> sigan/siga <send>/<bother>",
				"^ <not> enviar/mandar/contactar !",
			}},
		{name: "unsubscribe", notAfter: "not", // "quiero darme de baja"
			heads: []string{
				"<unsub>",
				"me? <give> de/d baja",
				"^ <want>/pido/solicito <det>* mi? baja definitiva/inmediata?",
				"<cancel> <det>* mi? suscripcion/subscripcion",
			},
			tails: []string{".", "<det>* <list> -<other>", "<det>* <msg> -<other>", "<det>* <mine>? <self> -<old>"}},
		{name: "unsubscribe", notAfter: "not", // "cancelen el envío de mensajes"
			heads: []string{
				"<cancel> <det>* <pure> -<other>",
				"<cancel> <det>* envio/envios <det>* <msg> -<other>",
				"^ baja inmediata/definitiva",
			}},
		{name: "remove_me", notAfter: "not", // "sáquenme de la lista"
			heads: []string{
				"<removeme>",
				"me pueden/podrian/puede/puedes? <remove>",
				"me borro/quito/elimino",
				"sea/sean/ser/fuera <removed> <mine>? <self>?",
			},
			tails: []string{".", "<det>* <list> -<other>"}},
		{name: "remove_me", notAfter: "not", // "borren mi número"
			heads: []string{
				"eliminado/borrado/retirado/removido <mine> <self>",
				"eliminacion/exclusion/baja <det>* <mine> <self>",
				"derecho/derechos .. supresion/cancelacion/olvido",
			}},
		{name: "remove_me", notAfter: "not", // "borren mi número de la lista"
			heads: []string{"<remove>/olviden/olvida/olvide <det>* <mine> <self>"},
			tails: []string{".", "personales", "<det>* <list> -<other>", "<go>"}},
		{name: "leave_list", notAfter: "not", // "quiero salir del grupo"
			heads: []string{"<leave> <det>* <list> -<other>"}},
		{name: "how_to_leave", notAfter: "not", // "¿cómo hago para salir?"
			heads: []string{"como/donde/cual .. ~cancelar/cancelo <quit>", "^ como/donde .. cancelar/cancelo"},
			tails: []string{".", "<det>* esto/eso .", "<det>* <pure> -<other>", "de recibir"}},
		{name: "leave_me_alone", notAfter: "not", // "déjenme en paz"
			heads: []string{
				"me? dejame/dejenme/dejeme/dejen/deja/dejarme en <peace>",
				"dejenme/dejame <peace>",
				"basta de molestar",
				"olvidense/olvidate/olvidese de mi",
				"^ basta !",
				"^ suficiente !",
				"^ alto !",
			}},
		{name: "will_block", notAfter: "not", // "los voy a denunciar por spam"
			heads: []string{"los/lo/te/las/la/les? voy/vamos a bloquear/bloquearlos/bloquearte/denunciar/denunciarlos/reportar/reportarlos"},
			tails: []string{".", "<det>* numero/contacto", "como spam", "por spam", "si .."}},
		{name: "will_block",
			heads: []string{
				"los/te/lo bloqueo/denuncio/reporto",
				"yo/proxima .. bloqueo/denuncio .",
				"^ bloqueado/bloqueados/reportado y? reportado/bloqueado/denunciado? !",
			}},
		{name: "spam", heads: []string{"esto/eso/es/puro/mucho spam !"}},
		{name: "wrong_person", // "se equivocaron de número"
			heads: []string{
				"^ es? <det>* numero/persona equivocado/equivocada !",
				"<send>/mandan/escriben/escribiendo .. persona/numero equivocada/equivocado",
				"equivocan/equivocaron/equivoco/equivocado/equivocados de numero/persona",
				"este/ese numero/celular/telefono/cel/whatsapp no/yano es/pertenece",
				"este/ese numero/celular/telefono es de/del mi/otra/otro",
				"^ aqui no vive/es/esta",
				"ella/el cambio de numero",
				"^ no soy ~<role> .. !",
			}},
		{name: "never_asked", // "nunca autoricé que me escriban"
			heads: []string{"<not> yo? les? autorice/autorizo/consenti/autorizamos"},
			tails: []string{".", "<det>* <this>", "<det>* <msg> -<other>", "<det>* envio/uso/contacto", "a? nadie/que", "recibir"}},
		{name: "never_asked", // "nunca me suscribí a esto"
			heads: []string{
				"<not> me suscribi/registre/inscribi/apunte/anote",
				"<not> les? di mi numero/contacto/telefono",
				"<not> les? di/he mi? permiso/autorizacion/consentimiento/dado",
				"<not> les? pedi/solicite/acepte que? recibir/<det>? <pure>",
			}},
		{name: "revoke_consent", notAfter: "not", // "retiro mi consentimiento"
			heads: []string{"revoco/revocar/retiro/retirar <det>* mi? autorizacion/consentimiento"}},
	},
}
