"""Common small words of languages that share a script, for `language`.

Words that two of them share count for both, so that they decide nothing; those of one letter are left out, but for
the Cyrillic ones, where they are half of what small words there are.
"""

LATIN: dict[str, str] = {
    "en": "the and you that this with for are was have not but what all can your just from they will would there "
    "been if how when who get like about out up do don't it's i'm i is it of to in be my me we our has had did does "
    "please thanks hello hi yes good know think where why which some any more than then them their could should "
    "because here now today tomorrow anyone someone everyone need want on at by as so",
    "es": "el los las una que de del por para con como pero más este esta esto muy hay está están ser fue qué yo su "
    "sus también cuando donde hola gracias porque todo todos nada bien ya sí lo le les mi mis tiene tengo puede "
    "hacer hoy mañana alguien quiero cómo eso esa aquí ahora sobre entre nos son era y es en",
    "fr": "le les des une est et que qui dans pour pas sur avec sont plus vous nous ils elle je ne il mais ou où ce "
    "cette ces fait être avoir ai très bien bonjour merci oui non tout tous quand comment pourquoi aussi c'est "
    "j'ai n'est qu'il d'un d'une l'on y en du au aux mon ma mes votre notre leur quelqu'un aujourd'hui demain ça",
    "de": "der die das und ist nicht ich du er sie es wir ihr ein eine einen mit auf für von dem den des im zu auch "
    "wie was wenn oder aber noch nur so schon kann haben hat sind war wird werden bei nach aus über hallo danke ja "
    "nein bitte heute morgen mir mich dich dir mein dein kein keine gibt jemand warum wo wer",
    "pt": "os as um uma que de do da dos das em no na nos nas por para com como mas mais este esta isso muito não "
    "está estão ser foi eu você vocês seu sua também quando onde olá obrigado obrigada porque tudo todos bem já sim "
    "tem tenho pode fazer hoje amanhã alguém quero aqui agora são ele ela nós meu minha é ao pelo",
    "it": "il lo gli una che di del della dei delle per con come ma più questo questa molto non è sono essere ho hai "
    "ha io tu noi voi anche quando dove ciao grazie perché tutto tutti bene già sì mi ti ci si nel nella al alla da "
    "fare oggi domani qualcuno voglio qui ora cosa chi ancora un e",
    "nl": "de het een en van ik je dat niet is in op te zijn voor met die aan er maar om ook als dan wat wel naar nog "
    "heb heeft hebben was bij uit kan kunnen deze dit geen hoe waar waarom wie jij jullie wij we hij zij mijn jouw "
    "hallo bedankt dank ja nee vandaag morgen iemand goed veel moet worden",
    "pl": "nie się jest na że to do co jak ale za czy tak po od dla przez być ma mam są był była już tylko jeszcze "
    "może bardzo kto gdzie kiedy dlaczego cześć dzięki dziękuję proszę dzisiaj dziś jutro ktoś mnie mi cię ja ty my "
    "wy ich jego jej oraz lub także tego tym te ten ta w z i",
    "tr": "ve bir bu da de için ile çok ne var yok mı mi mu mü ama ben sen biz siz o gibi daha en kadar olan olarak "
    "değil evet hayır merhaba teşekkürler nasıl neden nerede kim bugün yarın şey her sonra önce bana sana beni seni "
    "oldu olur iyi güzel lütfen herkes biri",
    "id": "yang dan di ini itu untuk dengan tidak ada dari ke akan pada saya kamu kita kami mereka dia sudah belum "
    "bisa juga atau karena apa siapa kapan dimana bagaimana kenapa terima kasih halo hari besok aku anda lagi jadi "
    "kalau tapi banyak semua orang sama nya mau bukan selamat",
    "vi": "và là của có không được cho này trong một những các với tôi bạn mình người đã đang sẽ thì mà nhưng khi "
    "như cũng rất gì ai sao đâu nào xin chào cảm ơn hôm nay ngày mai vì nếu hay rồi làm ra vào lên về anh chị em",
    "sv": "och att det som en på är av för med till den har inte om ett men jag du han hon vi ni de från var så kan "
    "när hur vad varför vem där här eller också hej tack ja nej idag imorgon någon mycket bra mig dig min din ska "
    "blir",
    "cs": "že se na je to jsem jsi jsou ale jak co by si tak už ještě jen když který která protože také jako ahoj "
    "děkuji díky prosím ano ne dnes zítra někdo kde kdy proč kdo mám máme můžu může být bylo byl velmi v a i s z",
    "ro": "și este nu că de la în cu pe pentru care sunt mai din un o dar ce cum unde când cine salut mulțumesc da "
    "azi mâine cineva foarte bine am ai are avem eu tu el ea noi voi ei lui meu acest această fi fost",
}

CYRILLIC: dict[str, str] = {
    "ru": "и в не на я что с это как но у же за по из для так вы ты мы он она они если или когда где кто почему "
    "привет спасибо да нет всем есть был была было быть уже ещё еще очень только меня мне тебя вас нас все всё "
    "сегодня завтра кто-то можно надо нужно здесь сейчас "
    "к во бы тоже потом теперь хорошо доброе утро могу хочу знает помогите пожалуйста вчера потому этот эта эти",
    "uk": "і в не на я що з це як але у за по із для так ви ти ми він вона вони якщо або коли де хто чому привіт "
    "дякую ні всім є був була було бути вже ще дуже тільки мене мені тебе вас нас усі все сьогодні завтра хтось "
    "можна треба потрібно тут зараз та й до",
    "bg": "и в не на аз че с това как но от за по из да се са съм си сме вие ти ние той тя те ако или кога къде кой "
    "защо здравейте здрасти благодаря има беше бъде вече още много само мен ми теб вас нас всички днес утре някой "
    "може трябва тук сега ще който",
    "sr": "и у не на ја што са то како али од за по из да се су сам си смо ви ти ми он она они ако или када где ко "
    "зашто здраво хвала има био била бити већ још врло само мене мени тебе вас нас сви све данас сутра неко може "
    "треба овде сада ће који је",
}
