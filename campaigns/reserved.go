package campaigns

// Reserved keys belong to the format but not to this version. They are refused
// by name: a campaign that relies on a frequency cap must not run without it.
// The text is the hint; docs/campaign-file.md has a row for each.
var reserved = map[string]string{
	"priority":                 "the category decides: authentication, then utility, then marketing",
	"template.language_column": "write one campaign for each language",
	"recipients.sheet":         "save the sheet as CSV and name that file",
	"audience":                 "take the people out of the CSV file; consent is always enforced",
	"approval.required":        "config.toml decides which campaigns need approval",
	"cost":                     "leave the table out; \"janela plan\" says how many messages would leave",
	"delivery":                 "the template carries its time to live; set it in WhatsApp Manager",
}
