//! Which functions tenants may call: of those that the engine has, the ones that compute.

use std::collections::{HashMap, HashSet};

/// Categories, in the words of `system.functions`, whose functions only compute.
const COMPUTING: [&str; 36] = [
    "Aggregate Functions",
    "Arithmetic",
    "Arrays",
    "Bit",
    "Bitmap",
    "Comparison",
    "Conditional",
    "Dates and Times",
    "Distance",
    "Encoding",
    "Encryption",
    "Financial",
    "Geo",
    "Geo Polygon",
    "Hash",
    "IP Address",
    "JSON",
    "Logical",
    "Map",
    "Mathematical",
    "Null",
    "Nullable",
    "NumericIndexedVector",
    "Random Number",
    "Rounding",
    "String",
    "String Replacement",
    "String Search",
    "String Splitting",
    "Time Series",
    "Time Window",
    "Tuple",
    "Type Conversion",
    "URL",
    "ULID",
    "UUID",
];
/// Functions of other categories that compute as well, in lower case.
const HARMLESS: &str = "bar blocknumber blocksize bytesize casewithexpression colorlabtosrgb \
    coloroklabtosrgb coloroklchtosrgb colorsrgbtooklab colorsrgbtooklch countdigits currentdatabase \
    currentqueryid currentroles currentschemas currentuser defaultroles \
    defaultvalueofargumenttype defaultvalueoftypename dumpcolumnstructure enabledroles \
    errorcodetoname finalizeaggregation flipcoordinates formatquery formatqueryornull \
    formatquerysingleline formatquerysinglelineornull formatreadabledecimalsize \
    formatreadablequantity formatreadablesize formatreadabletimedelta getsetting getsizeofenumtype \
    getsubcolumn identity ignore indexhint initializeaggregation initialqueryid \
    initialquerystarttime isconstant isdecimaloverflow lowcardinalityindices lowcardinalitykeys \
    macnumtostring macstringtonum macstringtooui materialize minsamplesizecontinuous \
    minsamplesizeconversion neighbor normalizedqueryhash normalizedqueryhashkeepnames \
    normalizequery normalizequerykeepnames parsereadablesize parsereadablesizeornull \
    parsereadablesizeorzero parsetimedelta queryid rownumberinallblocks rownumberinblock \
    runningaccumulate runningconcurrency runningdifference runningdifferencestartingwithfirstvalue \
    sleep sleepeachrow throwif tocolumntypename totypename transform variantelement varianttype \
    version visiblewidth \
    generate_series generaterandom generateseries null numbers numbers_mt primes values view zeros \
    zeros_mt";
/// Functions of the categories above that do more than compute, in lower case.
const HARMFUL: [&str; 2] = ["aggthrow", "chdb"];

/// A function or table function that the engine has.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// Its name.
    pub name: &'a str,
    /// The function that it is another name for, or nothing.
    pub alias_to: &'a str,
    /// Its category, or nothing.
    pub category: &'a str,
    /// What it is.
    pub kind: Kind,
}

/// What a function yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value from the values of one row.
    Scalar,
    /// A value from many rows.
    Aggregate,
    /// A table.
    Table,
}

/// The functions of an engine, and which of them are for tenants.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// In lower case, because some are found in any case.
    known: HashSet<String>,
    allowed: HashSet<String>,
    table_functions: HashSet<String>,
    scalars: HashSet<String>,
}

impl Catalogue {
    /// Sorts what the engine has.
    #[must_use]
    pub fn new<'a>(listed: impl IntoIterator<Item = Listed<'a>>) -> Self {
        let harmless: HashSet<&str> = HARMLESS.split_whitespace().collect();
        let mut catalogue = Self::default();
        let mut aliases = HashMap::new();
        for function in listed {
            let name = function.name.to_ascii_lowercase();
            if !function.alias_to.is_empty() {
                aliases.insert(name.clone(), function.alias_to.to_ascii_lowercase());
            }
            let computes =
                COMPUTING.contains(&function.category) || function.kind == Kind::Aggregate;
            let is_allowed =
                (computes && !HARMFUL.contains(&name.as_str())) || harmless.contains(name.as_str());
            if is_allowed {
                catalogue.allowed.insert(name.clone());
            }
            let kind = match function.kind {
                Kind::Table => &mut catalogue.table_functions,
                Kind::Scalar | Kind::Aggregate => &mut catalogue.scalars,
            };
            kind.insert(name.clone());
            catalogue.known.insert(name);
        }
        for (alias, name) in aliases {
            if catalogue.allowed.contains(&name) {
                catalogue.allowed.insert(alias);
            } else {
                catalogue.allowed.remove(&alias);
            }
        }
        catalogue
    }

    /// Whether a query may use that name as a function. Names that the engine does not know pass:
    /// it refuses them itself, unless the query defined them, or they are an aggregate function
    /// with combinators.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.allowed.contains(&name) || !self.known.contains(&name)
    }

    /// Whether a query may use that name without calling it. A function's bare name stands for
    /// the function where one is expected: `arrayMap(file, ['/etc/passwd'])`.
    #[must_use]
    pub fn allows_bare(&self, name: &str) -> bool {
        // Table functions cannot be passed on, and some have the names of everyday columns: `url`.
        self.allows(name) || self.is_table_function_only(&name.to_ascii_lowercase())
    }

    fn is_table_function_only(&self, name: &str) -> bool {
        self.table_functions.contains(name) && !self.scalars.contains(name)
    }

    /// Whether it knows none, which would make it useless.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}
