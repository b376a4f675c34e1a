use super::*;
use crate::report::history::durations::{self, Duration, Kind};
use crate::report::history::schema;
use crate::report::history::schema::{HistoryError, SCHEMA};

/// A file of schema 1 with two requests of one prompt, a tool call and an error.
fn of_schema_1(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(include_str!("schema_1.sql")).unwrap();
    let at = START_MS;
    connection
        .execute_batch(&format!(
            "INSERT INTO session VALUES (1, 's1', {at}, {at} + 5);
             INSERT INTO text VALUES (1, 'opus'), (2, 'Bash');
             INSERT INTO facet VALUES (1, 0, 0, 0, 0, 1, 0, 0), (2, 0, 0, 0, 0, 0, 0, 2);
             INSERT INTO activity
               VALUES (2, {at} / 60000, 1, 1, 1, 2, 1, 0, 0, 0.75, 10, 20, 30, 40);
             INSERT INTO request VALUES ({at}, 1, 0, 1, 1, x'0198c3a23e5270008000000000000001',
               0.25, 5, 10, 15, 20, 1000);
             INSERT INTO request VALUES ({at} + 2, 1, 1, 1, 1, x'0198c3a23e5270008000000000000001',
               0.5, 5, 10, 15, 20, NULL);
             INSERT INTO tool_result VALUES ({at} + 3, 1, 2, 1, 2,
               x'0198c3a23e5270008000000000000001', 1, 250);
             INSERT INTO api_error VALUES ({at} + 4, 1, 3, 1, 1, 'hashed', 529, 1, 10);
             INSERT INTO prompt VALUES ({at}, 1, 4, 1, 1, 'hashed', 12);
             UPDATE cursor SET install_id = 'a', install = 1, row = 7, tick = 3, series = 2;"
        ))
        .unwrap();
}

#[test]
fn schema_1_is_brought_up_to_date_with_everything_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    of_schema_1(&path);
    assert!(matches!(
        HistoryFile::open(&path, Origin::Recorded),
        Err(HistoryError::Older { found: 1, .. })
    ));
    let mut sink = Sink::open(&path).unwrap();
    assert_eq!((sink.cursors().unwrap().row, sink.cursors().unwrap().tick), (7, 3));
    let connection = Connection::open(&path).unwrap();
    assert_eq!(schema::version(&connection).unwrap(), SCHEMA);
    let prompt: (i64, i64, f64, i64, i64) = connection
        .query_row(
            "SELECT requests, tool_calls, cost_usd, first_ms, last_ms FROM prompt_usage
             WHERE typeof(prompt_id) = 'blob'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
        )
        .unwrap();
    assert_eq!(prompt, (2, 1, 0.75, START_MS, START_MS + 3));
    let mut expected = Duration::default();
    expected.add(1_000, 10);
    let pack: Vec<u8> = connection
        .query_row(
            "SELECT data FROM duration_pack WHERE place = ?",
            [durations::place(Kind::Request, START_MS / 60_000)],
            |row| row.get(0),
        )
        .unwrap();
    let mut found = BTreeMap::new();
    durations::read(&pack, &mut found);
    assert_eq!(found, BTreeMap::from([(1 << 20 | 1, expected)]));
    drop(connection);

    // And it goes on as a file that was made today.
    sink.begin_install("a").unwrap();
    let at = START_MS + 60_000;
    let page = HistoryPage {
        events: vec![events(8, at, vec![request("s1", at, 0.25)])],
        ..HistoryPage::default()
    };
    sink.apply(&page, DAYS).unwrap();
    assert_eq!((requests_counted(&path), dump(&path)["request"].len()), (3, 3));
}

/// The columns of both are the same, in the same order: rows are inserted by it.
#[test]
fn a_file_that_grew_has_the_tables_of_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let (grown, new) = (directory.path().join("grown.db"), directory.path().join("new.db"));
    of_schema_1(&grown);
    let columns = |path: &Path| -> Vec<(String, String, String, bool, i64)> {
        drop(Sink::open(path).unwrap());
        Connection::open(path)
            .unwrap()
            .prepare(
                "SELECT schema.name, column.name, column.type, column.\"notnull\", column.pk
                 FROM sqlite_schema schema, pragma_table_info(schema.name) column
                 WHERE schema.type = 'table' ORDER BY schema.name, column.cid",
            )
            .unwrap()
            .query_map([], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap()
    };
    assert_eq!(columns(&grown), columns(&new));
}

/// A migration that is cut off has not happened.
#[test]
fn a_migration_is_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    of_schema_1(&path);
    let connection = Connection::open(&path).unwrap();
    // A text where a number belongs cannot be read, long after the first tables were changed.
    connection
        .execute_batch(
            "CREATE TABLE tool_result_2 AS SELECT * FROM tool_result;
             DROP TABLE tool_result;
             CREATE TABLE tool_result AS SELECT *, 'x' AS odd FROM tool_result_2;
             UPDATE tool_result SET duration_ms = 'soon';",
        )
        .unwrap();
    drop(connection);
    assert!(Sink::open(&path).is_err());
    let connection = Connection::open(&path).unwrap();
    assert_eq!(schema::version(&connection).unwrap(), 1);
    assert!(connection.prepare("SELECT request_id FROM request").is_err());
}
