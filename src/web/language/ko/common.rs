//! The frame, errors, signing in by link, the landing page, settings.

pub const TABLE: super::Table = &[
    ("Skip to the content", "본문으로 건너뛰기"),
    ("Pages", "페이지"),
    ("Grants", "권한"),
    ("Tokens", "토큰"),
    ("Apps", "앱"),
    ("Activity", "활동"),
    ("Members", "구성원"),
    ("Settings", "설정"),
    ("Sign out", "로그아웃"),
    ("For developers", "개발자용"),
    ("Go to the start page", "시작 페이지로 가기"),
    ("Nothing is here", "여기에는 아무것도 없어요"),
    (
        "This address does not exist on this broker, or no longer.",
        "이 브로커에 없는 주소이거나 더는 쓰지 않는 주소예요.",
    ),
    ("Not available right now", "지금은 이용할 수 없어요"),
    (
        "This broker is not set up completely, or something that it needs is down. If you run it: its log says what.",
        "브로커 설정이 끝나지 않았거나 필요한 서비스가 멈춰 있어요. 직접 운영한다면 로그에서 원인을 확인하세요.",
    ),
    (
        "The broker can not reach its database at the moment. Wait a moment, then try again.",
        "브로커가 지금 데이터베이스에 연결할 수 없어요. 잠시 후 다시 시도하세요.",
    ),
    ("That was not accepted", "받아들여지지 않았어요"),
    (
        "This form was not sent from a page of this broker, or the page was open since before you signed in. Nothing was \
         changed. Open {0} and try again.",
        "이 브로커의 페이지에서 보낸 양식이 아니거나, 로그인하기 전에 열어 둔 페이지예요. 아무것도 바뀌지 않았어요. {0} 을(를) 열고 다시 시도하세요.",
    ),
    ("That can not be read", "읽을 수 없어요"),
    ("This address takes a form, and nothing else.", "이 주소는 양식만 받아요."),
    ("That is too long", "너무 길어요"),
    ("The form is longer than any that this broker shows.", "이 브로커가 보여 주는 어떤 양식보다도 길어요."),
    ("That does not work here", "여기서는 할 수 없어요"),
    ("This address does not take {0} requests.", "이 주소는 {0} 요청을 받지 않아요."),
    ("Too many tries", "시도가 너무 많아요"),
    (
        "From your network this was tried too often within a minute. Nothing was changed. Wait a minute, then try again.",
        "같은 네트워크에서 1분 동안 너무 많이 시도했어요. 아무것도 바뀌지 않았어요. 1분 뒤에 다시 시도하세요.",
    ),
    ("How to get a new one", "새 링크를 받는 방법"),
    ("This link does not sign in", "이 링크로는 로그인할 수 없어요"),
    (
        "This sign-in link has expired; each works for ten minutes.",
        "로그인 링크가 만료됐어요. 링크는 10분 동안만 쓸 수 있어요.",
    ),
    (
        "This sign-in link is damaged, or was made for another broker.",
        "로그인 링크가 손상됐거나 다른 브로커에서 만든 링크예요.",
    ),
    (
        "This sign-in link was used already; each works once.",
        "이미 사용한 로그인 링크예요. 링크는 한 번만 쓸 수 있어요.",
    ),
];
