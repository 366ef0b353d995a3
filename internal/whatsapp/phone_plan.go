package whatsapp

import "strings"

// plan is what the cheap rules know of a number.
type plan struct {
	region   string
	landline bool
}

// quickPlan knows the commonest shapes of a few countries by their bytes. It
// answers only where the full numbering plan gives the same verdict for every
// number of that shape (phone_plan_test.go compares them); ok=false means "ask
// the library", never "invalid". digits is the number without its plus.
func quickPlan(digits string) (p plan, ok bool) {
	if len(digits) < 11 || len(digits) > 13 || !onlyDigits(digits) {
		return plan{}, false
	}
	switch digits[0] {
	case '1':
		if len(digits) == 11 && digits[4] >= '2' {
			area := hundreds(digits[1:4])
			switch {
			case areasUS[area]:
				return plan{region: "US"}, true
			case areasCA[area]:
				return plan{region: "CA"}, true
			}
		}
	case '3':
		switch {
		case len(digits) == 11 && digits[:2] == "34" && digits[2] == '6':
			return plan{region: "ES"}, true
		case len(digits) == 12 && digits[:4] == "3519" && strings.IndexByte("1236", digits[4]) >= 0:
			return plan{region: "PT"}, true
		}
	case '5':
		return quickLatin(digits)
	}
	return plan{}, false
}

func quickLatin(digits string) (p plan, ok bool) {
	switch digits[1] {
	case '5':
		if brazilZone[twoDigits(digits[2:4])] == "" {
			return plan{}, false
		}
		switch {
		case len(digits) == 13 && digits[4] == '9':
			return plan{region: "BR"}, true
		case len(digits) == 12 && digits[4] >= '2' && digits[4] <= '5':
			return plan{region: "BR", landline: true}, true
		}
	case '2':
		if len(digits) == 12 && areasMX[hundreds(digits[2:5])] {
			return plan{region: "MX"}, true
		}
	case '4':
		if len(digits) == 13 && digits[2:5] == "911" && digits[5] >= '1' && digits[5] <= '8' {
			return plan{region: "AR"}, true
		}
	case '1':
		if len(digits) == 11 && digits[2] == '9' {
			return plan{region: "PE"}, true
		}
	}
	return plan{}, false
}

// inFull puts the country code before a number of the countries quickPlan knows
// best, where its length leaves one reading only; "" otherwise.
func inFull(w written, region string) string {
	if w.plus {
		return w.digits
	}
	var code string
	national := 10 // digits without the country code
	switch region {
	case "BR":
		code = "55"
		if len(w.digits)%2 == 1 {
			national = 11 // a mobile number
		}
	case "US", "CA":
		code = "1"
	case "MX":
		code = "52"
	default:
		return ""
	}
	switch {
	case len(w.digits) == national:
		return code + w.digits
	case len(w.digits) == national+len(code) && strings.HasPrefix(w.digits, code):
		return w.digits
	default:
		return ""
	}
}

func twoDigits(s string) int { return int(s[0]-'0')*10 + int(s[1]-'0') }
func hundreds(s string) int  { return twoDigits(s)*10 + int(s[2]-'0') }

// Area codes whose every number is valid and either fixed or mobile. "20:123"
// reads 201, 202, 203.
var (
	areasUS = areaSet("20:12356789 21:023456789 22:0345789 23:1459 24:08 25:12346 26:0279 27:0269 28:13 30:12345789 " +
		"31:023456789 32:01345679 33:0124679 34:167 35:0123 36:01349 38:056 40:12456789 41:0234579 42:345 43:0245 " +
		"44:023578 45:8 46:349 47:0589 48:04 50:12345789 51:0235678 52:0 53:0149 54:01 55:179 56:12347 57:012345 " +
		"58:0256 60:12356789 61:02456789 62:03689 63:016 64:0156 65:01679 66:01279 67:8 68:01269 70:1234678 " +
		"71:23456789 72:045678 73:012478 74:0378 75:47 76:02359 77:0123459 78:156 80:1234568 81:02345678 82:0168 " +
		"83:012589 84:03578 85:046789 86:02345 87:028 90:1346789 91:023456789 92:0589 93:014678 94:0135789 95:12469 " +
		"97:0123589 98:04569")
	areasCA = areaSet("20:4 22:6 23:6 24:9 25:07 26:3 28:9 30:6 34:3 35:4 36:578 38:2 40:3 41:68 42:8 43:178 45:0 46:8 " +
		"47:4 50:6 51:49 54:8 57:9 58:147 60:4 61:3 63:9 64:7 67:2 68:3 70:59 74:2 75:3 77:8 78:02 80:7 81:9 82:5 " +
		"86:7 87:39 90:25 94:2")
	areasMX = areaSet("22:0123456789 23:1235678 24:13456789 27:12345689 28:1234578 29:467 31:12345679 32:123456789 " +
		"33:0123456789 34:123456789 35:123456789 37:12345678 38:123456789 39:12345 41:12345789 42:123456789 " +
		"43:12345678 44:0123456789 45:0123456789 46:123456789 47:123456789 48:12356789 49:2345689 55:0123456789 " +
		"56:0123456789 58:8 59:12345679 61:234568 62:123456789 63:123456789 64:123456789 65:1236789 66:012345789 " +
		"67:1234567 68:67 69:45678 71:123456789 72:0123456789 73:123456789 74:123456789 75:13456789 76:123456789 " +
		"77:0123456789 78:1234569 79:17 81:0123456789 82:1345689 83:123456 84:12456 86:1246789 87:012378 89:12479 " +
		"91:346789 92:1234 93:234678 95:1348 96:0123456789 97:12 98:12345678 99:0123456789")
)

func areaSet(rows string) (set [1000]bool) {
	for row := range strings.FieldsSeq(rows) {
		for _, last := range row[3:] {
			set[twoDigits(row)*10+int(last-'0')] = true
		}
	}
	return set
}

// brazilZone is the time zone of each Brazilian area code (DDD) in use. The
// library's table has several wrong: Pará left UTC-4 in 2008, and 81 is Recife
// as well as Noronha.
var brazilZone = func() (zone [100]string) {
	for zoneName, codes := range map[string]string{
		"America/Sao_Paulo":    "11 12 13 14 15 16 17 18 19 21 22 24 27 28 31 32 33 34 35 37 38 41 42 43 44 45 46 47 48 49 51 53 54 55 61 62 64",
		"America/Bahia":        "71 73 74 75 77",
		"America/Maceio":       "79 82",
		"America/Recife":       "81 87",
		"America/Fortaleza":    "83 84 85 86 88 89 98 99",
		"America/Araguaina":    "63",
		"America/Belem":        "91 94 96",
		"America/Santarem":     "93",
		"America/Cuiaba":       "65 66",
		"America/Campo_Grande": "67",
		"America/Manaus":       "92 97",
		"America/Porto_Velho":  "69",
		"America/Boa_Vista":    "95",
		"America/Rio_Branco":   "68",
	} {
		for code := range strings.FieldsSeq(codes) {
			zone[twoDigits(code)] = zoneName
		}
	}
	return zone
}()

// brazilZones returns the zones of a Brazilian number's area code. Two codes
// span two offsets: 81 reaches Fernando de Noronha, 97 the west of Amazonas.
func brazilZones(digits string) []string {
	if len(digits) < 12 {
		return nil
	}
	code := twoDigits(digits[2:4])
	switch zone := brazilZone[code]; {
	case zone == "":
		return nil
	case code == 81:
		return []string{zone, "America/Noronha"}
	case code == 97:
		return []string{zone, "America/Eirunepe"}
	default:
		return []string{zone}
	}
}
