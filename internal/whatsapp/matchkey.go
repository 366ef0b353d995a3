package whatsapp

// MatchKey returns the wide key by which a revocation finds everybody it must
// reach: the phone a business wrote and the wa_id Meta answers for the same
// person give the same key. It drops the ninth digit of Brazilian mobiles
// (only if the eight digits that remain start with 6 to 9), Mexico's old 1 and
// Argentina's 9. Two different people can share a key, so it serves for
// suppressing only, never for a grant. It is "" for identities without a
// number. The key is personal data.
func MatchKey(id Identity) string {
	if id.Kind != KindPhone && id.Kind != KindWaID {
		return ""
	}
	d := make([]byte, 0, 16)
	for i := range len(id.Value) {
		if c := id.Value[i]; c >= '0' && c <= '9' {
			d = append(d, c)
		}
	}
	if len(d) == 13 {
		switch {
		case d[0] == '5' && d[1] == '5' && d[4] == '9' && d[5] >= '6':
			d = append(d[:4], d[5:]...)
		case d[0] == '5' && d[1] == '2' && d[2] == '1', d[0] == '5' && d[1] == '4' && d[2] == '9':
			d = append(d[:2], d[3:]...)
		}
	}
	return string(d)
}
