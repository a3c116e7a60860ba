//! What lies below NULLs.
//!
//! A NULL of the engine is a cleared bit; where an expression hides a value by it (`CASE WHEN … THEN salary END`) the value
//! itself may stay in its place. Most operators do not look at it there, but a field of a structure is read past the bit of
//! the structure, and the Arrow form of an answer writes columns with all that they hold.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, Scalar, new_null_array},
    compute::{is_not_null, kernels::zip::zip},
    error::ArrowError,
};

/// The column with nothing below its NULLs.
pub(crate) fn cleared(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if column.null_count() == 0 {
        return Ok(Arc::clone(column));
    }
    let nothing = Scalar::new(new_null_array(column.data_type(), 1));
    zip(&is_not_null(column)?, column, &nothing)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{
        array::{AsArray, BooleanArray, Int64Array, ListArray, StringArray, StructArray},
        compute::nullif,
        datatypes::{DataType, Field, Int64Type},
    };

    use super::*;

    /// The column where only the first of its two values is not NULL.
    fn hidden(column: &dyn Array) -> ArrayRef {
        nullif(column, &BooleanArray::from(vec![false, true])).unwrap()
    }

    #[test]
    fn a_value_whose_bit_is_cleared_is_gone() {
        let numbers = hidden(&Int64Array::from(vec![7, 52_400]));
        assert_eq!(numbers.as_primitive::<Int64Type>().values(), &[7_i64, 52_400], "the kernel leaves it");
        let numbers = cleared(&numbers).unwrap();
        assert_eq!(numbers.as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(7), None]));
        assert_eq!(numbers.as_primitive::<Int64Type>().values(), &[7_i64, 0]);

        let texts = cleared(&hidden(&StringArray::from(vec!["a", "secret"]))).unwrap();
        assert_eq!(texts.as_string::<i32>(), &StringArray::from(vec![Some("a"), None]));
        assert_eq!(texts.as_string::<i32>().value_data(), b"a");
    }

    #[test]
    fn so_is_what_a_nested_value_holds() {
        let phones = Arc::new(StringArray::from(vec!["1", "secret"])) as ArrayRef;
        let contacts = StructArray::from(vec![(Arc::new(Field::new("phone", DataType::Utf8, true)), phones)]);
        let contacts = cleared(&hidden(&contacts)).unwrap();
        assert_eq!(contacts.as_struct().column(0).as_string::<i32>(), &StringArray::from(vec![Some("1"), None]));

        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1)]), Some(vec![Some(52_400)])]);
        let lists = cleared(&hidden(&lists)).unwrap();
        assert!(lists.is_null(1));
        assert_eq!(lists.as_list::<i32>().values().as_primitive::<Int64Type>().values(), &[1_i64]);
    }

    #[test]
    fn a_column_without_nulls_stays_as_it_is() {
        let numbers = Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
        assert!(Arc::ptr_eq(&cleared(&numbers).unwrap(), &numbers));
    }
}
