//! Apps and the page for developers.

pub const TABLE: super::Table = &[
    ("Not done yet", "아직 끝나지 않았어요"),
    ("Back to the apps", "앱 목록으로"),
    (
        "This app has very many grants, and not all of them are revoked yet. Delete it again to go on.",
        "이 앱의 권한이 매우 많아서 아직 모두 취소하지 못했어요. 다시 삭제하면 이어서 처리해요.",
    ),
];
