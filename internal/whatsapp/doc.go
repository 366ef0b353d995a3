// Package whatsapp holds the nouns of the WhatsApp Business Platform: who a
// message goes to, what kind it is, which template it uses, and what Meta's
// error codes mean. It does no I/O.
//
// Types that carry personal data (Phone, WaID, BSUID, Wamid) mask themselves
// when they are printed, formatted or logged; the full value needs an explicit
// method. Facts about Meta's platform are cited by the name of Meta's page.
package whatsapp
