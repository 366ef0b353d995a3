package guard

import (
	"fmt"
	"syscall"
)

// kinds are the file systems on which a database is not safe or not lasting, by
// the number that Linux gives them (statfs(2)).
var kinds = map[uint64]FileSystem{
	0x6969:     {"nfs", "network"},
	0x517b:     {"smb", "network"},
	0xfe534d42: {"smb2", "network"},
	0xff534d42: {"cifs", "network"},
	0x01021997: {"9p", "network"},
	0x00c36400: {"ceph", "network"},
	0x65735546: {"fuse", "network"},
	0x01021994: {"tmpfs", "memory"},
	0x858458f6: {"ramfs", "memory"},
	0x794c7630: {"overlay", "container"},
	0x0000ef53: {"ext4", ""},
	0x58465342: {"xfs", ""},
	0x9123683e: {"btrfs", ""},
	0x2fc12fc1: {"zfs", ""},
	0xf2f52010: {"f2fs", ""},
}

// FileSystemOf asks what a folder lies on.
func FileSystemOf(dir string) (FileSystem, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return FileSystem{}, fmt.Errorf("guard: ask what %s lies on: %w", dir, err)
	}
	number := uint64(uint32(st.Type)) // its type differs from machine to machine
	if fs, ok := kinds[number]; ok {
		return fs, nil
	}
	return FileSystem{Name: fmt.Sprintf("%#x", number)}, nil
}
