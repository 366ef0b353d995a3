package account

import "testing"

// What Meta says counts; what is configured is a ceiling.
func TestPerSecond(t *testing.T) {
	for _, tt := range []struct {
		level   string
		bizApp  bool
		ceiling float64
		want    float64
	}{
		{"", false, 0, 80}, {"NOT_APPLICABLE", false, 0, 80}, {"STANDARD", false, 0, 80}, {"HIGH", false, 0, 1000}, {"high", false, 0, 1000},
		{"STANDARD", true, 0, 20}, {"HIGH", true, 0, 20}, {"HIGH", true, 5, 5},
		{"", false, 300, 300}, {"NOT_APPLICABLE", false, 300, 300}, {"WHO_KNOWS", false, 0.5, 0.5},
		{"STANDARD", false, 300, 80}, {"STANDARD", false, 40, 40}, {"HIGH", false, 300, 300}, {"HIGH", false, 3000, 1000},
	} {
		n := Number{Throughput: tt.level, OnBizApp: tt.bizApp}
		if got := n.PerSecond(tt.ceiling); got != tt.want {
			t.Errorf("%q, used by the app %v, at most %v: %v, want %v", tt.level, tt.bizApp, tt.ceiling, got, tt.want)
		}
	}
}
