package xfs

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// linux is the kernel that we run on. It takes Linux 5.14, or quotas of a file
// system could only be set by its device.
type linux struct{}

// What linux/fs.h and linux/dqblk_xfs.h say.
const (
	getAttributes = 0x801c581f // FS_IOC_FSGETXATTR
	setAttributes = 0x401c5820 // FS_IOC_FSSETXATTR
	inherit       = 0x200      // FS_XFLAG_PROJINHERIT

	projectQuota = 2                            // PRJQUOTA
	getQuota     = ('X'<<8+3)<<8 | projectQuota // Q_XGETQUOTA
	setLimits    = ('X'<<8+4)<<8 | projectQuota // Q_XSETQLIM
	getState     = ('X'<<8 + 8) << 8            // Q_XGETQSTATV
	counted      = 1 << 4                       // FS_QUOTA_PDQ_ACCT
	block        = 512                          // of which quotas are
)

// attributes is struct fsxattr.
type attributes struct {
	flags, extent, extents, project, copyOnWrite uint32
	_                                            [8]byte
}

// diskQuota is struct fs_disk_quota.
type diskQuota struct {
	version, flags                           int8
	mask                                     uint16
	id                                       uint32
	hard, soft, inodesHard, inodesSoft       uint64
	blocks, inodes                           uint64
	inodesTimer, blocksTimer                 int32
	inodesWarned, blocksWarned               uint16
	_                                        [4]int8
	realTimeHard, realTimeSoft, realTimeUsed uint64
	realTimeTimer                            int32
	realTimeWarned                           uint16
	_                                        int16
	_                                        [8]byte
}

// state is struct fs_quota_statv.
type state struct {
	version int8
	_       uint8
	flags   uint16
	_       [156]byte
}

// at does something with a file or a folder. No link is followed.
func at(path string, do func(fd int) error) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	return do(fd)
}

func ioctl(fd int, request uintptr, a *attributes) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(a))); errno != 0 {
		return errno
	}
	return nil
}

func quotactl(fd int, command uintptr, id uint32, p unsafe.Pointer) error {
	if _, _, errno := unix.Syscall6(unix.SYS_QUOTACTL_FD, uintptr(fd), command, uintptr(id), uintptr(p), 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func (linux) project(path string) (id uint32, err error) {
	err = at(path, func(fd int) error {
		var a attributes
		err := ioctl(fd, getAttributes, &a)
		id = a.project
		return err
	})
	return id, err
}

func (linux) setProject(path string, id uint32) error {
	return at(path, func(fd int) error {
		var a attributes
		if err := ioctl(fd, getAttributes, &a); err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		a.project = id
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			a.flags |= inherit
		}
		return ioctl(fd, setAttributes, &a)
	})
}

func (linux) quota(path string, id uint32) (q Quota, err error) {
	err = at(path, func(fd int) error {
		d := diskQuota{version: 1, flags: 2 /* FS_PROJ_QUOTA */, id: id}
		err := quotactl(fd, getQuota, id, unsafe.Pointer(&d))
		q = Quota{Used: d.blocks * block, Soft: d.soft * block, Hard: d.hard * block}
		return err
	})
	if errors.Is(err, unix.ENOENT) { // no such project has used anything yet
		return Quota{}, nil
	}
	return q, err
}

func (linux) setQuota(path string, id uint32, soft, hard uint64) error {
	return at(path, func(fd int) error {
		d := diskQuota{version: 1, flags: 2, id: id, mask: 1<<2 | 1<<3 /* FS_DQ_BSOFT, FS_DQ_BHARD */, soft: soft / block, hard: hard / block}
		return quotactl(fd, setLimits, id, unsafe.Pointer(&d))
	})
}

func (linux) enabled(path string) error {
	var where unix.Statfs_t
	if err := unix.Statfs(path, &where); err != nil {
		return err
	}
	if where.Type != unix.XFS_SUPER_MAGIC {
		return errors.New("it is not an XFS file system")
	}
	return at(path, func(fd int) error {
		s := state{version: 1}
		err := quotactl(fd, getState, 0, unsafe.Pointer(&s))
		if errors.Is(err, unix.ENOSYS) || err == nil && s.flags&counted == 0 {
			return errors.New("they are not enabled: mount it with -o prjquota, on a kernel with CONFIG_XFS_QUOTA")
		}
		return err
	})
}
