//! Numbers and permissions in words.

pub const TABLE: super::Table = &[
    ("any model", "모든 모델"),
    ("any {0}… model", "{0}… 계열"),
    ("{0} more", "외 {0}개"),
    ("{0} with {1} at {2}", "{2}에서 {0} (모델: {1})"),
    ("It may spend at most", "쓸 수 있는 최대 금액"),
    ("Chat", "대화"),
    ("Embeddings", "임베딩"),
    ("Images", "이미지"),
    ("Speech and transcription", "음성과 받아쓰기"),
    ("Content checks (moderation)", "콘텐츠 검사(모더레이션)"),
    ("Provider tools, such as web search (cost extra)", "웹 검색 같은 제공자 도구(추가 비용)"),
];
