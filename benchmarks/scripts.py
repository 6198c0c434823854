"""Ten scripts to draw in, with words of sentences of the project's own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Script:
    """A script to draw in: the wheel's number of it, a language, and words of the project's own sentences."""

    code: str
    number: int
    language: str
    words: tuple[str, ...]
    gap: str = " "
    size: float = 14.0


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SCRIPTS = {
    script.code: script
    for script in (
        Script(
            "Latn",
            1,
            "en",
            _words(
                "the binder counts every folded sheet by lamplight while the river takes what it will"
                " and nobody in the long room asks why a ledger should be copied twice before winter"
                " comes quietly over these hills with wind and early snow just as zealous clerks"
                " expected"
            ),
        ),
        Script(
            "Cyrl",
            3,
            "ru",
            _words(
                "старый переплётчик считает каждый лист при свете лампы пока река уносит всё что ей"
                " дано и никто в длинной комнате не спрашивает зачем книгу надо переписать дважды"
                " прежде чем придёт зима"
            ),
        ),
        Script(
            "Grek",
            2,
            "el",
            _words(
                "ο παλιός βιβλιοδέτης μετρά κάθε φύλλο με το φως της λάμπας ενώ το ποτάμι παίρνει"
                " ό,τι θέλει και κανείς στο μεγάλο δωμάτιο δεν ρωτά γιατί πρέπει να γραφτεί δύο φορές"
                " πριν έρθει ο χειμώνας"
            ),
        ),
        Script(
            "Hani",
            35,
            "zh",
            tuple(
                "装订工人在灯下数着每一张折好的纸河水带走它想要的东西长屋里没有人问为什么账本要在冬天到来之前抄写两遍山上下了早雪"
            ),
            gap="",
        ),
        Script(
            "Deva",
            9,
            "hi",
            _words(
                "पुराना जिल्दसाज़ दीपक की रोशनी में हर पन्ना गिनता है जबकि नदी अपनी इच्छा से सब कुछ"
                " ले जाती है और लंबे कमरे में कोई नहीं पूछता कि बही को सर्दी आने से पहले दो बार क्यों"
                " लिखा जाए"
            ),
        ),
        Script(
            "Taml",
            14,
            "ta",
            _words(
                "பழைய புத்தகம் கட்டுபவர் விளக்கின் ஒளியில் ஒவ்வொரு தாளையும் எண்ணுகிறார் ஆறு தனக்கு"
                " வேண்டியதை எடுத்துச் செல்கிறது நீண்ட அறையில் யாரும் ஏன் என்று கேட்பதில்லை"
                " குளிர்காலம் வருவதற்கு முன்"
            ),
            size=12.0,
        ),
        Script(
            "Thai",
            19,
            "th",
            _words(
                "ช่างเย็บเล่มนับกระดาษทุกแผ่นใต้แสงตะเกียง ขณะที่แม่น้ำพัดพาสิ่งที่มันต้องการไป"
                " และไม่มีใครในห้องยาวถามว่า ทำไมต้องคัดลอกสมุดบัญชีสองครั้ง ก่อนฤดูหนาวจะมาถึง"
            ),
        ),
        Script(
            "Arab",
            6,
            "ar",
            _words(
                "يعد المجلد القديم كل ورقة مطوية تحت ضوء المصباح بينما يأخذ النهر ما يريد ولا يسأل"
                " أحد في الغرفة الطويلة لماذا يجب أن ينسخ الدفتر مرتين قبل أن يأتي الشتاء"
            ),
        ),
        Script(
            "Hebr",
            5,
            "he",
            _words(
                "הכורך הזקן סופר כל דף מקופל לאור המנורה בזמן שהנהר לוקח את מה שירצה ואיש בחדר הארוך"
                " אינו שואל מדוע יש להעתיק את הפנקס פעמיים לפני בוא החורף"
            ),
        ),
        Script(
            "Tibt",
            21,
            "bo",
            _words(
                "དཔེ་ ཆ་ བཟོ་ མཁན་ རྒན་ པ་ དེས་ སྒྲོན་ མེའི་ འོད་ ཀྱིས་ ཤོག་ བུ་ རེ་ རེ་ བཞིན་ བགྲངས་"
                " ནས་ གཙང་ པོས་ གང་ འདོད་ པ་ ཁྱེར་ འགྲོ་ ཡང་ ཁང་ པ་ རིང་ པོའི་ ནང་ གི་ སུས་ ཀྱང་"
                " དགུན་ ཁ་ མ་ སླེབས་ གོང་ དེབ་ ཐེར་ གཉིས་ རྐྱང་ བྲིས་ དགོས་ པའི་ རྒྱུ་ མཚན་ འདྲི་ བར་"
                " མི་ བྱེད་"
            ),
            gap="",
            size=16.0,
        ),
    )
}
