package attach_test

import (
	"testing"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// TestNumbers compares the numbers that C and Go must agree on.
func TestNumbers(t *testing.T) {
	for c, field := range map[abi.NetfilterField]pred.Field{
		abi.NetfilterFieldFIELD_CT_STATUS:     pred.FieldCtStatus,
		abi.NetfilterFieldFIELD_CT_DIR:        pred.FieldCtDir,
		abi.NetfilterFieldFIELD_CT_PROTO:      pred.FieldCtProto,
		abi.NetfilterFieldFIELD_CT_ORIG_SPORT: pred.FieldCtOrigSrcPort,
		abi.NetfilterFieldFIELD_CT_ORIG_DPORT: pred.FieldCtOrigDstPort,
		abi.NetfilterFieldFIELD_CT_REPL_SPORT: pred.FieldCtReplSrcPort,
		abi.NetfilterFieldFIELD_CT_REPL_DPORT: pred.FieldCtReplDstPort,
		abi.NetfilterFieldFIELD_CT_EXPIRE:     pred.FieldCtExpire,
		abi.NetfilterFieldFIELD_SOCKET:        pred.FieldSocket,
		abi.NetfilterFieldFIELD_UID:           pred.FieldUID,
		abi.NetfilterFieldFIELD_GID:           pred.FieldGID,
		abi.NetfilterFieldFIELD_PKTTYPE:       pred.FieldPktType,
		abi.NetfilterFieldFIELD_CPU:           pred.FieldCPU,
		abi.NetfilterFieldFIELD_REALM:         pred.FieldRealm,
		abi.NetfilterFieldFIELD_IN_GROUP:      pred.FieldInGroup,
		abi.NetfilterFieldFIELD_OUT_GROUP:     pred.FieldOutGroup,
		abi.NetfilterFieldFIELD_HAS_IN:        pred.FieldHasIn,
		abi.NetfilterFieldFIELD_HAS_OUT:       pred.FieldHasOut,
		abi.NetfilterFieldFIELD_BRIDGED:       pred.FieldBridged,
	} {
		if uint32(c) != uint32(field) {
			t.Errorf("%s is %d in Go, %d in C", field, field, c)
		}
	}
	for c, op := range map[abi.NetfilterRecentOp]pred.RecentOp{
		abi.NetfilterRecentOpRECENT_SET:    pred.RecentSet,
		abi.NetfilterRecentOpRECENT_CHECK:  pred.RecentCheck,
		abi.NetfilterRecentOpRECENT_UPDATE: pred.RecentUpdate,
		abi.NetfilterRecentOpRECENT_REMOVE: pred.RecentRemove,
	} {
		if uint32(c) != uint32(op) {
			t.Errorf("operation %d of recent is %d in C", op, c)
		}
	}
}
