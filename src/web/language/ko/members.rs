//! Members and what they may delegate.

pub const TABLE: super::Table = &[
    ("What members may allow", "구성원이 허용할 수 있는 것"),
    (
        "Members connect apps to the providers whose keys you pay for. Here you say which models they may hand on, and how much money. It \
         holds for every call, also of apps that are connected already. You yourself are not bound by it.",
        "구성원은 회원님이 비용을 내는 제공자 키에 앱을 연결해요. 구성원이 어떤 모델을 얼마까지 넘겨줄 수 있는지 여기에서 정해요. 이미 연결된 앱의 \
         호출에도 모두 적용돼요. 회원님 본인에게는 적용되지 않아요.",
    ),
    ("Saved.", "저장했어요."),
    ("What you may allow apps", "앱에 허용할 수 있는 것"),
    ("Each grant", "권한 하나"),
    ("at most {0} USD, over its whole life", "전체 기간 동안 최대 {0} USD"),
    ("In a month, everything together", "한 달 동안 모두 합해서"),
    ("What you have used of it can not be read at the moment.", "지금은 얼마나 썼는지 확인할 수 없어요."),
    (
        "Your operator decides this, and it holds for every call, also of what you allowed before.",
        "운영자가 정한 내용이며, 이미 허용한 것까지 모든 호출에 적용돼요.",
    ),
    ("Not saved:", "저장하지 않았어요:"),
    (
        "The accounts of {0} members were not told yet. Each learns of it by itself within minutes, before a call goes through, or is told now.",
        "구성원 {0}명의 계정에는 아직 전하지 않았어요. 각 계정은 몇 분 안에 호출이 나가기 전에 스스로 확인하고, 지금 전할 수도 있어요.",
    ),
    ("Tell them now", "지금 전하기"),
    ("Members may use {0}", "구성원이 {0} 사용 가능"),
    (
        "This broker has no key for it, so that no call reaches it in any case.",
        "이 브로커에는 해당 제공자의 키가 없어서 어떤 호출도 전달되지 않아요.",
    ),
    ("Models, one on each line", "모델 (한 줄에 하나씩)"),
    (
        "A “*” at the end stands for every model that begins so, and “*” alone for all.",
        "끝에 “*”를 쓰면 그렇게 시작하는 모든 모델을, “*”만 쓰면 전체 모델을 뜻해요.",
    ),
    ("Models whose price is known", "가격이 알려진 모델"),
    ("For each grant, at most", "권한 하나당 최대"),
    (
        "Over its whole life. What an app used before counts too.",
        "권한의 전체 기간에 대한 금액이에요. 앱이 이미 쓴 금액도 포함돼요.",
    ),
    ("For each member in a month, at most", "구성원 한 명당 한 달 최대"),
    (
        "Over all their grants together. It begins anew with each month, in UTC.",
        "그 구성원의 모든 권한을 합한 금액이에요. 매달 UTC 기준으로 새로 시작해요.",
    ),
    ("The form is damaged. Load the page again.", "양식이 손상됐어요. 페이지를 다시 불러오세요."),
    (
        "“{0}” is not a model: an entry has no blanks, and a “*” only at its end.",
        "“{0}”은(는) 모델 이름이 아니에요. 빈칸 없이 쓰고, “*”는 끝에만 쓸 수 있어요.",
    ),
    (
        "Name at least one model of {0}, or “*” for every model, or take its tick away.",
        "{0} 모델을 하나 이상 쓰거나, 전체 모델을 뜻하는 “*”를 쓰거나, 선택을 해제하세요.",
    ),
    (
        "Name at most {0} models of {1}. An entry that ends in “*” stands for many.",
        "{1} 모델은 {0}개까지 쓸 수 있어요. “*”로 끝나는 항목 하나로 여러 모델을 나타낼 수 있어요.",
    ),
    (
        "Write money in US dollars like 5 or 2.50: with a point, and more than nothing.",
        "금액은 5나 2.50처럼 미국 달러로 쓰세요. 소수점은 점으로 쓰고, 0보다 커야 해요.",
    ),
    (
        "Somebody changed it since you opened this page. Load the page again to see what holds.",
        "페이지를 연 뒤에 다른 사람이 바꿨어요. 페이지를 다시 불러와 지금 내용을 확인하세요.",
    ),
    (
        "Everybody who has an account here. Members can connect apps within the rules that you set; operators can connect them without.",
        "여기에 계정이 있는 모든 사람이에요. 구성원은 회원님이 정한 규칙 안에서 앱을 연결할 수 있고, 운영자는 규칙 없이 연결할 수 있어요.",
    ),
    (
        "Removed. They are signed out, and every grant of theirs is revoked.",
        "구성원을 내보냈어요. 로그아웃됐고 모든 권한이 회수됐어요.",
    ),
    ("Member", "구성원"),
    ("Monthly limit", "월 한도"),
    ("No limit", "한도 없음"),
    ("Set a limit", "한도 정하기"),
    ("Here since", "가입한 때"),
    ("Active grants", "활성 권한"),
    ("Spent this month", "이번 달 사용액"),
    ("nothing yet", "아직 없음"),
    ("can not be read at the moment", "지금은 읽을 수 없음"),
    ("{0} of {1} USD", "{1} USD 중 {0}"),
    ("Remove {0}", "{0} 내보내기"),
    ("Remove {0}?", "{0} 님을 내보낼까요?"),
    (
        "They are signed out and can not sign in again. Every call of an app that they connected is refused from that moment on.",
        "로그아웃되고 다시 로그인할 수 없어요. 그 순간부터 이 구성원이 연결한 앱의 모든 호출이 거부돼요.",
    ),
    (
        "Active grants that are revoked: {0}. What they used stays in the books. This can not be undone.",
        "회수될 활성 권한은 {0}개예요. 사용 기록은 남아요. 되돌릴 수 없어요.",
    ),
    ("Keep", "그대로 두기"),
    (
        "Signing in and every call are over for them at once. They had very many grants, and not all of them are marked as revoked yet. Go \
         on until they are.",
        "로그인과 모든 호출은 이미 막혔어요. 권한이 매우 많아서 아직 모두 회수로 표시하지 못했어요. 끝날 때까지 계속하세요.",
    ),
    ("Your operator does not allow this", "운영자가 허용하지 않아요"),
    (
        "{0} asks for this: {1}. The operator of this broker allows its members none of these models. Ask your operator to allow one of \
         them, or go back to the app.",
        "{0} 앱의 요청: {1}. 이 브로커의 운영자는 구성원에게 이 모델을 하나도 허용하지 않아요. 운영자에게 허용해 달라고 하거나 앱으로 돌아가세요.",
    ),
    (
        "{0} asks for this: {1}. The operator of this broker allows its members none of these models. Ask your operator to allow one of \
         them, or stop it on your device: it gets nothing.",
        "{0} 앱의 요청: {1}. 이 브로커의 운영자는 구성원에게 이 모델을 하나도 허용하지 않아요. 운영자에게 허용해 달라고 하거나 기기에서 연결을 중단하세요. 기기에는 아무 권한도 주어지지 않아요.",
    ),
    (
        "Your operator allows at most {0} USD for each grant, over its whole life.",
        "운영자는 권한 하나당 전체 기간에 걸쳐 최대 {0} USD까지 허용해요.",
    ),
    (
        "your operator allows none of the models that this app asks for",
        "이 앱이 요청하는 모델은 운영자가 하나도 허용하지 않아요",
    ),
    ("your operator does not allow {0}", "운영자가 {0} 사용을 허용하지 않아요"),
    ("your operator does not allow the model {0}", "운영자가 {0} 모델을 허용하지 않아요"),
];
