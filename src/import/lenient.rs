//! Reading JSON of any version of Claude Code: what has another type than expected is absent, and the
//! rest of the line still counts. Texts are borrowed from the line, so most are never copied.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A text, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'l>(Option<Cow<'l, str>>);

impl Text<'_> {
    /// An empty text is none.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }

    pub fn owned(&self) -> Option<String> {
        self.as_str().map(str::to_owned)
    }
}

/// `true`, or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flag(pub bool);

/// A number, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Number(pub Option<f64>);

/// What a value of any type is, as far as one wants to know.
enum Scalar<'l> {
    Text(Cow<'l, str>),
    Number(f64),
    Integer(i64),
    Bool(bool),
    Other,
}

struct ScalarVisitor;

impl<'l> Visitor<'l> for ScalarVisitor {
    type Value = Scalar<'l>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }
    fn visit_borrowed_str<E>(self, text: &'l str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Bool(value))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Integer(number))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Scalar::Other, Scalar::Integer))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }
    fn visit_seq<A: SeqAccess<'l>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
    fn visit_map<A: MapAccess<'l>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

impl<'de: 'l, 'l> Deserialize<'de> for Text<'l> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Text(text) => Self(Some(text)),
            _ => Self(None),
        })
    }
}

impl<'l> Deserialize<'l> for Flag {
    fn deserialize<D: Deserializer<'l>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(matches!(deserializer.deserialize_any(ScalarVisitor)?, Scalar::Bool(true))))
    }
}

impl<'l> Deserialize<'l> for Number {
    fn deserialize<D: Deserializer<'l>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match deserializer.deserialize_any(ScalarVisitor)? {
            #[expect(clippy::cast_precision_loss, reason = "money and statuses are small")]
            Scalar::Integer(integer) => Some(integer as f64),
            Scalar::Number(number) => Some(number).filter(|number| number.is_finite()),
            _ => None,
        }))
    }
}

/// A whole number; 0 where there is none.
pub fn count<'l, D: Deserializer<'l>>(deserializer: D) -> Result<i64, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Integer(integer) => integer,
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
        Scalar::Number(number) if number.is_finite() => number as i64,
        _ => 0,
    })
}

/// Whether a text says `message`.
pub fn is_message<'l, D: Deserializer<'l>>(deserializer: D) -> Result<Flag, D::Error> {
    Ok(Flag(Text::deserialize(deserializer)?.as_str() == Some("message")))
}

/// An object; the default where there is none.
pub fn object<'l, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'l> + Default,
    D: Deserializer<'l>,
{
    Ok(Object::deserialize(deserializer)?.0)
}

/// A list of objects; empty where there is none.
pub fn list<'l, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'l> + Default,
    D: Deserializer<'l>,
{
    deserializer.deserialize_any(ListVisitor(PhantomData))
}

/// See [`object`].
#[derive(Default)]
pub struct Object<T>(pub T);

impl<'l, T: Deserialize<'l> + Default> Deserialize<'l> for Object<T> {
    fn deserialize<D: Deserializer<'l>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'l, T: Deserialize<'l> + Default> Visitor<'l> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }
    fn visit_map<A: MapAccess<'l>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
    fn visit_seq<A: SeqAccess<'l>>(self, mut list: A) -> Result<T, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }
    fn visit_str<E>(self, _: &str) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'l, T: Deserialize<'l> + Default> Visitor<'l> for ListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }
    fn visit_seq<A: SeqAccess<'l>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(Object(one)) = list.next_element()? {
            all.push(one);
        }
        Ok(all)
    }
    fn visit_map<A: MapAccess<'l>>(self, mut map: A) -> Result<Vec<T>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }
    fn visit_str<E>(self, _: &str) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
    fn visit_bool<E>(self, _: bool) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
    fn visit_i64<E>(self, _: i64) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
    fn visit_u64<E>(self, _: u64) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
    fn visit_f64<E>(self, _: f64) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
}
