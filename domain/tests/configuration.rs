//! Properties of merging, checking and rendering, over documents drawn from the schema itself.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests may fail loudly")]

use muniment_domain::project::schema::{RecordKey, Setting, Shape};
use muniment_domain::project::validation::check;
use muniment_domain::project::{Level, Overrides, ProjectConfig};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const LEVELS: [Level; 3] = [Level::Project, Level::Branch, Level::Environment];

fn ids(key: RecordKey) -> &'static [&'static str] {
    match key {
        RecordKey::Name => &["a", "b-1"],
        RecordKey::CustomPermission => &["a", "team:b"],
        RecordKey::Permission => &["google", "$x"],
        RecordKey::Uuid => &[
            "1df07ae6-abf3-4a40-83a5-a1a2cbe336ac",
            "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de",
        ],
    }
}

/// Values of a shape, and now and then `null` in the place of one.
fn values(shape: &'static Shape) -> BoxedStrategy<Value> {
    let plain = match shape {
        Shape::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        Shape::Only(value) => Just(json!(value)).boxed(),
        Shape::Number => prop_oneof![
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(|number: f64| json!(number))
        ]
        .boxed(),
        Shape::Text => "[a-z.]{0,4}".prop_map(Value::from).boxed(),
        Shape::Condition => prop_oneof![Just(json!("true")), Just(json!(""))].boxed(),
        Shape::Uuid => Just(json!("6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de")).boxed(),
        Shape::OneOf(choices) => (0..choices.len())
            .prop_map(move |at| json!(choices[at]))
            .boxed(),
        Shape::Interval => (any::<i32>(), 0..4_usize)
            .prop_map(|(count, at)| {
                let units = ["day", "week", "month", "year"];
                json!([count, units[at]])
            })
            .boxed(),
        Shape::Either(shapes) => (0..shapes.len())
            .prop_flat_map(move |at| values(&shapes[at]))
            .boxed(),
        Shape::Object { fields: [], .. } => Just(json!({})).boxed(),
        Shape::Object { fields, .. } => {
            let entry = (0..fields.len()).prop_flat_map(move |at| {
                let field = &fields[at];
                values(field.shape).prop_map(move |value| (field.name.to_owned(), value))
            });
            objects(entry.boxed())
        }
        Shape::Record { key, entry, .. } => {
            let ids = ids(*key);
            let entry = (0..ids.len(), values(entry));
            objects(
                entry
                    .prop_map(|(at, value)| (ids[at].to_owned(), value))
                    .boxed(),
            )
        }
    };
    prop_oneof![7 => plain, 1 => Just(Value::Null)].boxed()
}

fn objects(entry: BoxedStrategy<(String, Value)>) -> BoxedStrategy<Value> {
    prop::collection::vec(entry, 0..3)
        .prop_map(|entries| Value::Object(entries.into_iter().collect()))
        .boxed()
}

/// A dotted key that descends some way, and a value for it.
fn entries(shape: &'static Shape) -> BoxedStrategy<(String, Value)> {
    let steps: Vec<(String, &'static Shape)> = match shape {
        Shape::Object { fields, .. } => fields
            .iter()
            .map(|field| (field.name.to_owned(), field.shape))
            .collect(),
        Shape::Record { key, entry, .. } => ids(*key)
            .iter()
            .map(|id| ((*id).to_owned(), *entry))
            .collect(),
        _ => Vec::new(),
    };
    let options = steps.into_iter().map(|(name, inner)| {
        let here = name.clone();
        let stop = values(inner).prop_map(move |value| (here.clone(), value));
        if matches!(inner, Shape::Object { fields, .. } if !fields.is_empty())
            || matches!(inner, Shape::Record { .. })
        {
            let below =
                entries(inner).prop_map(move |(rest, value)| (format!("{name}.{rest}"), value));
            prop_oneof![1 => stop, 3 => below].boxed()
        } else {
            stop.boxed()
        }
    });
    proptest::strategy::Union::new(options.collect::<Vec<_>>()).boxed()
}

fn documents() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec(entries(&ProjectConfig::SHAPE), 0..8)
        .prop_map(|entries| entries.into_iter().collect())
}

fn merged(documents: &[&Map<String, Value>]) -> Map<String, Value> {
    let mut overrides = Overrides::default();
    for document in documents {
        overrides.merge(Level::Environment, (*document).clone());
    }
    overrides.document(Level::Environment)
}

/// The entries that a level takes.
fn accepted(level: Level, document: &Map<String, Value>) -> Map<String, Value> {
    let lone = |key: &String, value: &Value| Map::from_iter([(key.clone(), value.clone())]);
    let fits = document
        .iter()
        .filter(|(key, value)| check(level, &lone(key, value)).is_ok());
    fits.map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_accepted_can_be_rendered(
        project in documents(), branch in documents(), environment in documents(),
    ) {
        let mut overrides = Overrides::default();
        for (level, document) in LEVELS.into_iter().zip([project, branch, environment]) {
            overrides.merge(level, accepted(level, &document));
        }
        prop_assert!(ProjectConfig::render(&overrides).is_ok(), "{overrides:?}");
    }

    #[test]
    fn a_rendered_configuration_renders_to_itself(document in documents()) {
        let mut overrides = Overrides::default();
        overrides.merge(Level::Environment, document);
        let once = ProjectConfig::render(&overrides).unwrap();
        // A rendered document cannot say that a built-in entry was deleted.
        let emails = ProjectConfig::default().emails;
        prop_assume!(emails.themes.keys().all(|id| once.emails.themes.contains_key(id)));
        prop_assume!(emails.templates.keys().all(|id| once.emails.templates.contains_key(id)));
        let mut again = Overrides::default();
        again.merge(Level::Environment, json!(once).as_object().unwrap().clone());
        prop_assert_eq!(ProjectConfig::render(&again).unwrap(), once);
    }

    #[test]
    fn merging_is_associative(a in documents(), b in documents(), c in documents()) {
        let left = merged(&[&merged(&[&a, &b]), &c]);
        let right = merged(&[&a, &merged(&[&b, &c])]);
        prop_assert_eq!(left, right);
    }

    #[test]
    fn merging_twice_is_merging_once(a in documents(), b in documents()) {
        let once = merged(&[&a, &b]);
        prop_assert_eq!(merged(&[&once, &b]), once);
    }

    #[test]
    fn any_json_is_accepted_or_refused(text in "\\PC{0,40}", key in "[a-zA-Z.$:_-]{0,12}") {
        for level in LEVELS {
            let document = Map::from_iter([(key.clone(), json!(text))]);
            let _ = check(level, &document);
        }
    }
}
