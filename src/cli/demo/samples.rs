//! Events as the four products would emit them, and one of nobody's in particular. Without ids and times, so that they
//! can be written again and again.

/// One event per line, in the order the demo tells them.
pub const SAMPLES: &[&str] = &[
    r#"{"type":"salesOrder.created","tenant":"carbon","key":"SO000042","operation":"INSERT","data":{"id":"cr8k2m0d5s6g","salesOrderId":"SO000042","status":"Draft","customerId":"cust_118","orderDate":"2026-03-12","currencyCode":"EUR","exchangeRate":1,"companyId":"demo"}}"#,
    r#"{"type":"invoice.created","tenant":"umbra","key":"inv_2207","data":{"id":"inv_2207","number":"2026-0207","customer":{"id":"cus_31","name":"Nordlicht GmbH"},"currency":"EUR","total":1840.50,"status":"open","lines":[{"product":"prd_9","quantity":3,"price":613.50}]}}"#,
    r#"{"type":"shipment.status_changed","tenant":"carriyo","key":"SHP-88120","trigger":"status_change","data":{"shipment_id":"SHP-88120","partner_shipment_reference":"PSR-5521","carrier":"ARAMEX","status":"in_transit","previous_status":"shipped","dropoff":{"city":"Dubai","country":"AE"},"update_date":"2026-03-12T10:00:04Z"}}"#,
    r#"{"type":"salesOrder.updated","tenant":"carbon","key":"SO000042","operation":"UPDATE","data":{"id":"cr8k2m0d5s6g","salesOrderId":"SO000042","status":"To Ship and Invoice","customerId":"cust_118","orderDate":"2026-03-12","currencyCode":"EUR","exchangeRate":1,"companyId":"demo"},"old":{"id":"cr8k2m0d5s6g","salesOrderId":"SO000042","status":"Draft","customerId":"cust_118","orderDate":"2026-03-12","currencyCode":"EUR","exchangeRate":1,"companyId":"demo"}}"#,
    r#"{"type":"order.updated","tenant":"carriyo","key":"ORD-7713","trigger":"order_updated","operation":"UPDATE","data":{"order_id":"ORD-7713","status":"partially_shipped","items":[{"sku":"TSHIRT-M","quantity":2,"shipped":1}]},"old":{"order_id":"ORD-7713","status":"confirmed","items":[{"sku":"TSHIRT-M","quantity":2,"shipped":0}]}}"#,
    r#"{"type":"sales_order.completed","tenant":"clarus","key":"41077","data":{"sales_order_id":41077,"reference":"PO-99120","dispatch_date":"2026-03-12","lines":[{"product":"PAL-EUR-1","quantity_ordered":12,"quantity_picked":12,"quantity_dispatched":12}]}}"#,
    r#"{"type":"invoice.updated","tenant":"umbra","key":"inv_2207","data":{"id":"inv_2207","number":"2026-0207","customer":{"id":"cus_31","name":"Nordlicht GmbH"},"currency":"EUR","total":1840.50,"status":"paid","lines":[{"product":"prd_9","quantity":3,"price":613.50}]}}"#,
    r#"{"type":"loyalty.points_earned","tenant":"umbra","key":"cus_31","data":{"customer":"cus_31","points":184,"balance":2096,"tier":"silver","reason":"invoice 2026-0207"}}"#,
    r#"{"type":"return_request.created","tenant":"carriyo","key":"RET-310","data":{"return_request_id":"RET-310","order_id":"ORD-7713","status":"requested","items":[{"sku":"TSHIRT-M","quantity":1,"reason":"too_small"}]}}"#,
    r#"{"type":"stock.adjusted_negative","tenant":"clarus","key":"PAL-EUR-1","data":{"stock_record_id":550231,"product":"PAL-EUR-1","location":"A-14-2","quantity_before":48,"quantity_after":46,"reason":"damaged in handling"}}"#,
    r#"{"type":"salesOrder.deleted","tenant":"carbon","key":"SO000041","operation":"DELETE","data":{"id":"cr8k1zz90qpt","salesOrderId":"SO000041","status":"Cancelled","customerId":"cust_090","orderDate":"2026-03-11","currencyCode":"EUR","exchangeRate":1,"companyId":"demo"}}"#,
    r#"{"type":"door.opened","key":"door-3","data":{"door":"door-3","by":"badge 20114","serial":9007199254740993}}"#,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::valid_event_type;

    #[test]
    fn every_sample_is_an_event_on_one_line() {
        for line in SAMPLES {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(event["type"].as_str().is_some_and(valid_event_type), "{line}");
            assert!(event["data"].is_object(), "{line}");
            assert!(!line.contains('\n') && event.get("id").is_none(), "{line}");
        }
    }

    #[test]
    fn every_product_speaks() {
        for tenant in ["carbon", "carriyo", "umbra", "clarus"] {
            assert!(SAMPLES.iter().any(|line| line.contains(&format!("\"tenant\":\"{tenant}\""))), "{tenant}");
        }
    }
}
