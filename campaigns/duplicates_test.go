package campaigns

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"janela/internal/whatsapp"
)

// Against a map, with chunks so small that most of the work is on disk.
func TestDuplicatesAgainstAMap(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		phones := rapid.SliceOfN(rapid.IntRange(0, 30), 0, 200).Draw(t, "phones")
		last := rapid.Bool().Draw(t, "last")
		d := newDuplicates(dir)
		defer d.close()
		d.limit = rapid.IntRange(1, 250).Draw(t, "chunk")
		row := 0
		want := map[int]bool{} // rows to be skipped
		kept := map[int]int{}  // by phone
		for _, p := range phones {
			row += rapid.IntRange(1, 70).Draw(t, "gap") // rows between are unusable
			if err := d.add(whatsapp.Phone(fmt.Sprintf("+55119%08d", p)), row); err != nil {
				t.Fatal(err)
			}
			if before, ok := kept[p]; ok && last {
				want[before], kept[p] = true, row
			} else if ok {
				want[row] = true
			} else {
				kept[p] = row
			}
		}
		got, err := d.skip(last)
		if err != nil {
			t.Fatal(err)
		}
		for r := 0; r <= row+100; r++ {
			if got.has(r) != want[r] {
				t.Fatalf("row %d skipped: %v, want %v", r, got.has(r), want[r])
			}
		}
		if got.n != len(want) {
			t.Fatalf("%d rows, want %d", got.n, len(want))
		}
	})
}

// The rows that share a value with another.
func TestSharedAgainstAMap(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.IntRange(0, 40), 0, 100).Draw(t, "keys")
		d := newDuplicates(dir)
		defer d.close()
		d.limit = rapid.IntRange(1, 120).Draw(t, "chunk")
		n := map[int]int{}
		for row, k := range keys {
			n[k]++
			if err := d.addKey(digest(fmt.Sprint(k)), row); err != nil {
				t.Fatal(err)
			}
		}
		got, err := d.again()
		if err != nil {
			t.Fatal(err)
		}
		for row, k := range keys {
			if got.has(row) != (n[k] > 1) {
				t.Fatalf("row %d of key %d, which comes %d times: %v", row, k, n[k], got.has(row))
			}
		}
	})
}
