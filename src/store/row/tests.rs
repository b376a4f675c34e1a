use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = Arc<str>> {
    "[a-z0-9é ]{0,12}".prop_map(Arc::from)
}

fn labels() -> impl Strategy<Value = Labels> {
    prop::collection::vec((text(), text()), 0..4)
}

fn point() -> impl Strategy<Value = Point> {
    (text(), labels(), any::<u128>(), any::<u64>(), any::<u64>(), -1e12f64..1e12, any::<bool>())
        .prop_map(|(metric, labels, stream, start_ns, time_ns, value, delta)| Point {
            metric,
            labels,
            stream,
            start_ns,
            time_ns,
            value,
            temporality: if delta { Temporality::Delta } else { Temporality::Cumulative },
        })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::Text),
        any::<i64>().prop_map(Value::Int),
        (-1e12f64..1e12).prop_map(Value::Double),
        any::<bool>().prop_map(Value::Bool),
        text().prop_map(Value::Json),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    (
        any::<u64>(),
        text(),
        text(),
        labels(),
        any::<u128>(),
        prop::collection::vec((text(), value()), 0..6),
    )
        .prop_map(|(time_ns, name, service, tags, id, attributes)| Event {
            time_ns,
            body: name.clone(),
            name,
            service,
            tags,
            id,
            attributes,
        })
}

proptest! {
    #[test]
    fn points_come_back(points in prop::collection::vec(point(), 0..8)) {
        let row = RowWriter::new().unwrap().write(&Batch::Points(points.clone())).unwrap();
        prop_assert_eq!(read_points(&row).unwrap(), points);
    }

    #[test]
    fn events_come_back(events in prop::collection::vec(event(), 0..8)) {
        let row = RowWriter::new().unwrap().write(&Batch::Events(events.clone())).unwrap();
        prop_assert_eq!(read_events(&row).unwrap(), events);
    }

    #[test]
    fn spans_come_back(spans in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..40)), 0..4)) {
        let row = RowWriter::new().unwrap().write(&Batch::Spans(spans.clone())).unwrap();
        prop_assert_eq!(read_spans(&row).unwrap(), spans);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic(points in prop::collection::vec(point(), 1..4), cut in any::<prop::sample::Index>(), flip in any::<u8>()) {
        let row = RowWriter::new().unwrap().write(&Batch::Points(points)).unwrap();
        let at = cut.index(row.len());
        prop_assert!(read_points(&row[..at]).is_err());
        let mut flipped = row.clone();
        flipped[at] ^= flip;
        let _ = read_points(&flipped);
        let _ = read_events(&flipped);
        let _ = read_spans(&flipped);
    }
}

#[test]
fn a_newer_version_is_named() {
    assert_eq!(read_points(&[9, 0, 0]), Err(RowError::Version(9)));
    assert_eq!(read_points(&[]), Err(RowError::Damaged(0)));
}
