use proptest::prelude::*;

use super::*;

const TENANCY: Tenancy<'_> = Tenancy {
    project: "it's",
    branch: "main",
};

fn catalogue() -> Catalogue {
    let function = |name, category| Listed {
        name,
        alias_to: "",
        category,
        kind: Kind::Scalar,
    };
    let table = |name| Listed {
        kind: Kind::Table,
        ..function(name, "")
    };
    Catalogue::new([
        function("upper", "String"),
        function("file", "Other"),
        function("getSetting", "Other"),
        function("currentRoles", "Other"),
        function("currentUser", "Other"),
        function("dictGet", "Dictionary"),
        table("file"),
        table("merge"),
        table("numbers"),
        table("url"),
        Listed {
            alias_to: "file",
            ..function("FILE_ALIAS", "String")
        },
    ])
}

fn verdict(canonical: &str) -> Result<String, u32> {
    approve(canonical, &catalogue(), TENANCY).map_err(|refusal| refusal.code)
}

#[test]
fn queries_pass_as_they_are() {
    for canonical in [
        "SELECT 1 FORMAT JSONEachRow",
        "(SELECT 1) UNION ALL (SELECT 2) FORMAT JSONEachRow",
        "WITH x AS (SELECT 1) SELECT * FROM x FORMAT JSONEachRow",
        "SELECT 'file(''/etc/passwd'')', 'it\\'s system.processes' FORMAT JSONEachRow",
        "SELECT upper(id) FROM users WHERE id IN (SELECT 1) FORMAT JSONEachRow",
        "SELECT name FROM system.tables FORMAT JSONEachRow",
        "SELECT data.file, data.file AS file, url FROM events AS url FORMAT JSONEachRow",
        "SELECT {a:Array(String)} FORMAT JSONEachRow",
        "SELECT data.system.cpu FROM events FORMAT JSONEachRow",
        "SHOW TABLES FORMAT JSONEachRow",
        "EXPLAIN SYNTAX SELECT 1 FORMAT JSONEachRow",
        "SELECT sumIf(a, b) FROM numbers(3) FORMAT JSONEachRow",
    ] {
        assert_eq!(verdict(canonical), Ok(canonical.to_owned()));
    }
}

#[test]
fn what_reaches_the_machine_is_refused() {
    for (canonical, code) in [
        ("", 62),
        ("SELECT 1; SELECT 2", 62),
        ("SELECT 1 -- x", 62),
        ("SELECT 1 /* x */", 62),
        ("SELECT $$x$$", 62),
        ("SELECT 'x", 62),
        ("SELECT 1 PARALLEL WITH SELECT 2", 62),
        ("INSERT INTO e FORMAT Values", 497),
        ("CREATE TABLE x (`a` Int) ENGINE = Memory", 497),
        ("KILL QUERY WHERE 1 ASYNC FORMAT JSON", 497),
        ("SET ROLE owner", 497),
        ("SELECT file('/etc/passwd')", 497),
        ("SELECT FILE ('/etc/passwd')", 497),
        ("SELECT `file`('/etc/passwd')", 497),
        ("SELECT \"fi\\le\"('/etc/passwd')", 497),
        ("SELECT file_alias('/etc/passwd')", 497),
        ("SELECT * APPLY file FROM x", 497),
        ("SELECT * APPLY(file) FROM x", 497),
        ("SELECT * APPLY (x -> file(x)) FROM x", 497),
        ("SELECT arrayMap(file, ['/etc/passwd'])", 497),
        ("SELECT arrayMap(`FILE`, ['/etc/passwd'])", 497),
        ("SELECT * FROM url('http://x')", 497),
        ("SELECT dictGet('d', 'a', 1)", 497),
        ("SELECT * FROM merge('system', '.*')", 636),
        ("SELECT * FROM system.processes", 497),
        ("SELECT * FROM `system`.`processes`", 497),
        ("SELECT * FROM `system.processes`", 497),
        ("SELECT * FROM information_schema.tables", 497),
        ("SELECT * FROM INFORMATION_SCHEMA.TABLES", 497),
        ("SELECT 1 IN system.processes", 497),
        ("SELECT 1 INTO OUTFILE '/tmp/x' FORMAT JSON", 497),
        ("SELECT * FROM {t:Identifier}", 36),
        ("SELECT 1 SETTINGS max_threads = 1", 164),
        ("SELECT * FROM (SELECT 1 SETTINGS `log_comment` = 'x')", 164),
        ("SHOW PROCESSLIST FORMAT JSON", 497),
        ("SHOW GRANTS FOR owner FORMAT JSON", 497),
        // What stands for the call would make one of the name before it.
        ("SELECT data.file currentUser()", 497),
        ("SELECT url currentRoles()", 497),
        ("SELECT data.merge getSetting('SQL_branch_id')", 636),
        ("EXPLAIN ESTIMATE SELECT 1", 497),
        ("EXPLAIN indexes = 1 SELECT 1", 497),
        ("EXPLAIN INSERT INTO x SELECT 1", 497),
        ("EXPLAIN TABLE OVERRIDE mysql('') COLUMNS (x Int)", 497),
    ] {
        assert_eq!(verdict(canonical), Err(code), "{canonical}");
    }
}

#[test]
fn calls_that_a_server_answers_otherwise_are_replaced() {
    for (canonical, expected) in [
        (
            "SELECT currentUser(), upper(currentUser()) AS x",
            "SELECT ('limited_user' AS `currentUser()`), upper(('limited_user' AS `currentUser()`)) AS x",
        ),
        (
            "SELECT getSetting('SQL_project_id')",
            "SELECT ('it\\'s' AS `getSetting('SQL_project_id')`)",
        ),
        (
            "SELECT getSetting('max_threads')",
            "SELECT getSetting('max_threads')",
        ),
    ] {
        assert_eq!(verdict(canonical), Ok(expected.to_owned()));
    }
    assert!(
        verdict("SHOW GRANTS FORMAT JSONEachRow")
            .is_ok_and(|text| text.contains("default.users TO"))
    );
}

/// Parts that queries, and attacks on them, are made of.
const PARTS: [&str; 34] = [
    "SELECT",
    "file",
    "FILE",
    "`file`",
    "\"file\"",
    "system",
    "`system`",
    ".",
    "processes",
    "(",
    ")",
    "'",
    "\\",
    "`",
    "\"",
    "''",
    "--",
    "/*",
    "*/",
    ";",
    "APPLY",
    "INTO",
    "OUTFILE",
    "{",
    "}",
    ":",
    "Identifier",
    "FROM",
    "1",
    "$$",
    " ",
    "\n",
    "é",
    "AS",
];

/// The parts of a text without quotes and escapes, each between two blanks.
fn spaced(text: &str) -> String {
    let parts: Vec<&str> = text.split_whitespace().collect();
    format!(" {} ", parts.join(" ").to_lowercase())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = approve(&text, &catalogue(), TENANCY);
    }

    #[test]
    fn no_mixture_of_parts_lets_a_forbidden_one_through(
        parts in prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..24)
    ) {
        let text = format!("SELECT {}", parts.join(" "));
        let Ok(approved) = approve(&text, &catalogue(), TENANCY) else {
            return Ok(());
        };
        prop_assert_eq!(&approved, &text);
        if text.contains(['\'', '"', '`', '\\']) {
            return Ok(());
        }
        // Within a path it is a column.
        let spaced = spaced(&text).replace(" . system . processes ", " . column ");
        for forbidden in [
            " file ( ", " ( file ) ", " apply file ", " system . processes ", " into outfile ",
            " ; ", " -- ", " /* ", " $$ ",
        ] {
            prop_assert!(!spaced.contains(forbidden), "{}", text);
        }
    }

    #[test]
    fn what_is_in_a_string_stays_data(text in "\\PC{0,40}") {
        let canonical = format!("SELECT upper({}) FORMAT JSONEachRow", quoted(&text));
        prop_assert_eq!(verdict(&canonical), Ok(canonical));
    }
}
