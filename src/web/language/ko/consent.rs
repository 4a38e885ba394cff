//! Consent, devices, answers to apps.

pub const TABLE: super::Table = &[
    ("Go back and choose Allow or Deny.", "뒤로 가서 허용 또는 거부를 선택하세요."),
    ("Nothing was decided", "아무것도 결정되지 않았어요"),
    ("Go to your grants", "내 권한으로 가기"),
    ("This request is no longer open", "더는 열려 있지 않은 요청이에요"),
    (
        "It was open for more than ten minutes, belongs to another sign-in, or the app did not come for its answer. Go back \
         to the app and connect again.",
        "10분 넘게 열려 있었거나, 다른 로그인에 속하거나, 앱이 답을 가져가지 않았어요. 앱으로 돌아가 다시 연결하세요.",
    ),
    (
        "It was opened before, took too long, or is another app's: the app's link works once, for a short time. Nothing was \
         allowed. Go back to the app and connect again.",
        "이미 열었거나, 시간이 지났거나, 다른 앱의 요청이에요. 앱의 링크는 짧은 시간 동안 한 번만 쓸 수 있어요. 아무것도 허용되지 않았어요. 앱으로 돌아가 다시 연결하세요.",
    ),
    ("This request can not be shown", "이 요청은 보여 줄 수 없어요"),
    (
        "The app that sent you here made a mistake: {0}. You were not sent on, and nothing was allowed.",
        "여기로 보낸 앱의 요청이 잘못됐어요: {0}. 앱으로 되돌려 보내지 않았고, 아무것도 허용되지 않았어요.",
    ),
    ("This app can not be identified", "앱을 확인할 수 없어요"),
    (
        "The app says who it is at its own address, and what lies there can not be used: {0}. Nothing was allowed. Only \
         whoever makes the app can put this right.",
        "앱은 자기 주소에서 신원을 밝히는데, 그 내용을 쓸 수 없어요: {0}. 아무것도 허용되지 않았어요. 앱을 만든 쪽에서만 바로잡을 수 있어요.",
    ),
    ("This was answered already", "이미 답한 요청이에요"),
    (
        "You have allowed this request before, and the app has its access. You can see and revoke it with your grants.",
        "이 요청은 이미 허용했고 앱에 권한이 있어요. 권한 페이지에서 확인하고 취소할 수 있어요.",
    ),
    ("Too many wrong codes", "잘못된 코드가 너무 많아요"),
    (
        "You have entered too many codes that are not good. Wait ten minutes, have your device show a new code, and enter that.",
        "맞지 않는 코드를 너무 많이 입력했어요. 10분 기다린 뒤 기기에서 새 코드를 표시하고 그 코드를 입력하세요.",
    ),
];
