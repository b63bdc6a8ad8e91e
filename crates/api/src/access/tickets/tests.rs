use secrecy::ExposeSecret as _;

use super::Tickets;
use crate::access::Caller;
use domain::access::Scope;

#[test]
fn a_ticket_is_good_once_for_its_session_and_origin() {
    let tickets = Tickets::default();
    let caller = Caller::anyone();
    let [session, other] = ["a", "b"].map(|id| id.parse().unwrap());
    let origin = Some("https://acme.test");
    let issue = || {
        let ticket = tickets.issue(&caller, "a".parse().unwrap(), origin.map(str::to_owned)).unwrap();
        ticket.text.expose_secret().to_owned()
    };
    let ticket = issue();
    let reader = tickets.redeem(&ticket, &session, origin).unwrap();
    assert!(reader.scope == Scope::Read && reader.sees(&session) && !reader.sees(&other));
    assert!(tickets.redeem(&ticket, &session, origin).is_none(), "a second time");
    assert!(tickets.redeem(&issue(), &other, origin).is_none(), "another session");
    assert!(tickets.redeem(&issue(), &session, Some("https://evil.test")).is_none(), "another origin");
    assert!(tickets.redeem(&issue(), &session, None).is_none(), "no origin");
    let late = issue();
    for kept in tickets.0.lock().unwrap().values_mut() {
        kept.expires -= Tickets::LIFETIME;
    }
    assert!(tickets.redeem(&late, &session, origin).is_none(), "too late");
    let revoked = issue();
    caller.revoked.cancel();
    assert!(tickets.redeem(&revoked, &session, origin).is_none(), "its key was revoked");
}
