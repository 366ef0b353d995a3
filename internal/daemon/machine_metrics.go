package daemon

import "github.com/prometheus/client_golang/prometheus"

var (
	descWritable = prometheus.NewDesc("janela_store_writable", "Whether the database can be written: 1, or 0.", nil, nil)
	descLog      = prometheus.NewDesc("janela_store_wal_bytes", "Size of the write-ahead log.", nil, nil)
	descFree     = prometheus.NewDesc("janela_disk_free_bytes", "Free space on the disk of the database.", nil, nil)
	descReserve  = prometheus.NewDesc("janela_disk_reserve_bytes", "Space that must be free there for everything to be sent.", nil, nil)
	descBehind   = prometheus.NewDesc("janela_clock_behind_seconds", "How far the clock is behind the last instant of the database.", nil, nil)
)

var machineDescs = []*prometheus.Desc{descWritable, descLog, descFree, descReserve, descBehind}

// machine tells of the disk and the clock; it asks no database.
func (m *metrics) machine(gauge func(d *prometheus.Desc, v float64, labels ...string)) {
	writable := 1.0
	if m.d.db.Fault() != nil {
		writable = 0
	}
	gauge(descWritable, writable)
	gauge(descLog, float64(m.d.db.LogSize()))
	gauge(descBehind, m.d.db.Ahead().Seconds())
	if s, reserve, ok := m.d.guard.Disk(); ok {
		gauge(descFree, float64(s.Free))
		gauge(descReserve, float64(reserve))
	}
}
