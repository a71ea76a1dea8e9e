package abi

// The layout of classified chains (bpf/lookup/rows.h): offsets in u32 words.
const (
	HeaderVersion = uint32(NetfilterClassHeaderHDR_VERSION)
	HeaderNChains = uint32(NetfilterClassHeaderHDR_NCHAINS)
	HeaderOwn     = uint32(NetfilterClassHeaderHDR_OWN) // the first word that the datapath does not read
	HeaderSize    = uint32(NetfilterClassHeaderHDR_SIZE)

	ChainKind    = uint32(NetfilterClassChainCHAIN_KIND)
	ChainFirst   = uint32(NetfilterClassChainCHAIN_FIRST)
	ChainPolicy  = uint32(NetfilterClassChainCHAIN_POLICY)
	ChainTuples  = uint32(NetfilterClassChainCHAIN_TUPLES)
	ChainNTuples = uint32(NetfilterClassChainCHAIN_NTUPLES)
	ChainTrees   = uint32(NetfilterClassChainCHAIN_TREES)
	ChainNTrees  = uint32(NetfilterClassChainCHAIN_NTREES)
	ChainRows    = uint32(NetfilterClassChainCHAIN_ROWS)
	ChainTables  = uint32(NetfilterClassChainCHAIN_TABLES)
	ChainSize    = uint32(NetfilterClassChainCHAIN_SIZE)

	KindList   = uint32(NetfilterClassKindKIND_LIST)
	KindTuples = uint32(NetfilterClassKindKIND_TUPLES)

	TupleBuckets = uint32(NetfilterClassTupleTUPLE_BUCKETS)
	TupleShift   = uint32(NetfilterClassTupleTUPLE_SHIFT)
	TupleLeast   = uint32(NetfilterClassTupleTUPLE_LEAST)
	TupleWide    = uint32(NetfilterClassTupleTUPLE_WIDE)
	TupleRows    = uint32(NetfilterClassTupleTUPLE_ROWS)
	TupleOwn     = uint32(NetfilterClassTupleTUPLE_OWN)
	TupleMask    = uint32(NetfilterClassTupleTUPLE_MASK)
	TupleSize4   = uint32(NetfilterClassTupleTUPLE_SIZE4)
	TupleSize6   = uint32(NetfilterClassTupleTUPLE_SIZE6)

	BucketTags    = uint32(NetfilterClassBucketBUCKET_TAGS)
	BucketEntries = uint32(NetfilterClassBucketBUCKET_ENTRIES)
	BucketRows    = uint32(NetfilterClassBucketBUCKET_ROWS)
	BucketMore    = uint32(NetfilterClassBucketBUCKET_MORE)
	BucketSize    = uint32(NetfilterClassBucketBUCKET_SIZE)

	EntryRow   = uint32(NetfilterClassEntryENTRY_ROW)
	EntryRange = uint32(NetfilterClassEntryENTRY_RANGE)
	EntrySize  = uint32(NetfilterClassEntryENTRY_SIZE)
	EntryPlace = uint32(NetfilterClassEntryENTRY_PLACE)

	TreeRoot  = uint32(NetfilterClassTreeTREE_ROOT)
	TreeLeast = uint32(NetfilterClassTreeTREE_LEAST)
	TreeRows  = uint32(NetfilterClassTreeTREE_ROWS)
	TreeSize  = uint32(NetfilterClassTreeTREE_SIZE)

	NodeLimits = uint32(NetfilterClassNodeNODE_LIMITS)
	NodePlaces = uint32(NetfilterClassNodeNODE_PLACES)
	NodeChild  = uint32(NetfilterClassNodeNODE_CHILD)
	NodeSize   = uint32(NetfilterClassNodeNODE_SIZE)
	NodeLeaf   = uint32(NetfilterClassNodeNODE_LEAF)

	RowLabel   = uint32(NetfilterClassRowROW_LABEL)
	RowBorn    = uint32(NetfilterClassRowROW_BORN)
	RowDead    = uint32(NetfilterClassRowROW_DEAD)
	RowID      = uint32(NetfilterClassRowROW_ID)
	RowAction  = uint32(NetfilterClassRowROW_ACTION)
	RowArg     = uint32(NetfilterClassRowROW_ARG)
	RowProgram = uint32(NetfilterClassRowROW_PROGRAM)
	RowSPort   = uint32(NetfilterClassRowROW_SPORT)
	RowDPort   = uint32(NetfilterClassRowROW_DPORT)
	RowProto   = uint32(NetfilterClassRowROW_PROTO)
	RowOrder   = uint32(NetfilterClassRowROW_ORDER)
	RowNext    = uint32(NetfilterClassRowROW_NEXT)
	RowSrc     = uint32(NetfilterClassRowROW_SRC)
	RowSize4   = uint32(NetfilterClassRowROW_SIZE4)
	RowSize6   = uint32(NetfilterClassRowROW_SIZE6)

	DoContinue = uint32(NetfilterClassActionDO_CONTINUE)
	DoAccept   = uint32(NetfilterClassActionDO_ACCEPT)
	DoDrop     = uint32(NetfilterClassActionDO_DROP)
	DoReturn   = uint32(NetfilterClassActionDO_RETURN)
	DoJump     = uint32(NetfilterClassActionDO_JUMP)
	DoGoto     = uint32(NetfilterClassActionDO_GOTO)
	DoNote     = uint32(NetfilterClassActionDO_NOTE)
	DoUp       = uint32(NetfilterClassActionDO_UP)

	NotSrc        = uint32(NetfilterClassFlagNOT_SRC)
	NotDst        = uint32(NetfilterClassFlagNOT_DST)
	HasProto      = uint32(NetfilterClassFlagHAS_PROTO)
	NotProto      = uint32(NetfilterClassFlagNOT_PROTO)
	NotSPort      = uint32(NetfilterClassFlagNOT_SPORT)
	NotDPort      = uint32(NetfilterClassFlagNOT_DPORT)
	NotTCPFlags   = uint32(NetfilterClassFlagNOT_TCP_FLAGS)
	NotState      = uint32(NetfilterClassFlagNOT_STATE)
	StateFirst    = uint32(NetfilterClassFlagSTATE_FIRST)
	NeedTransport = uint32(NetfilterClassFlagNEED_TRANSPORT)
	Plain         = uint32(NetfilterClassFlagPLAIN)
	HotFragment   = uint32(NetfilterClassFlagHOT_FRAGMENT)

	NoteNumber   = uint32(NetfilterClassNoteNOTE_NUMBER)
	NoteTerminal = uint32(NetfilterClassNoteNOTE_TERMINAL)
	NoteUntrack  = uint32(NetfilterClassNoteNOTE_UNTRACK)
	NoteNSets    = uint32(NetfilterClassNoteNOTE_NSETS)
	NoteSets     = uint32(NetfilterClassNoteNOTE_SETS)

	GuardTransport = uint32(NetfilterClassGuardGUARD_TRANSPORT)
	GuardHeader    = uint32(NetfilterClassGuardGUARD_HEADER)
)

// The instructions of a row's program (enum class_op).
const (
	OpYes        = uint32(NetfilterClassOpOP_YES)
	OpNo         = uint32(NetfilterClassOpOP_NO)
	OpHot        = uint32(NetfilterClassOpOP_HOT)
	OpGuard      = uint32(NetfilterClassOpOP_GUARD)
	OpJump       = uint32(NetfilterClassOpOP_JUMP)
	OpFact       = uint32(NetfilterClassOpOP_FACT)
	OpField      = uint32(NetfilterClassOpOP_FIELD)
	OpBytes      = uint32(NetfilterClassOpOP_BYTES)
	OpBounds     = uint32(NetfilterClassOpOP_BOUNDS)
	OpFindExt    = uint32(NetfilterClassOpOP_FIND_EXT)
	OpTCPOption  = uint32(NetfilterClassOpOP_TCP_OPTION)
	OpTCPMSS     = uint32(NetfilterClassOpOP_TCP_MSS)
	OpDCCPOption = uint32(NetfilterClassOpOP_DCCP_OPTION)
	OpSCTPChunks = uint32(NetfilterClassOpOP_SCTP_CHUNKS)
	OpAddrType   = uint32(NetfilterClassOpOP_ADDR_TYPE)
	OpLimit      = uint32(NetfilterClassOpOP_LIMIT)
	OpNth        = uint32(NetfilterClassOpOP_NTH)
	OpRandom     = uint32(NetfilterClassOpOP_RANDOM)
	OpRecent     = uint32(NetfilterClassOpOP_RECENT)
	OpNamedSet   = uint32(NetfilterClassOpOP_NAMED_SET)
	OpGetAddr    = uint32(NetfilterClassOpOP_GET_ADDR)
	OpGetName    = uint32(NetfilterClassOpOP_GET_NAME)
	OpU32Start   = uint32(NetfilterClassOpOP_U32START)
	OpU32Load    = uint32(NetfilterClassOpOP_U32LOAD)
	OpU32And     = uint32(NetfilterClassOpOP_U32AND)
	OpU32Left    = uint32(NetfilterClassOpOP_U32LEFT)
	OpU32Right   = uint32(NetfilterClassOpOP_U32RIGHT)
	OpU32Advance = uint32(NetfilterClassOpOP_U32ADVANCE)
	OpU32In      = uint32(NetfilterClassOpOP_U32IN)
)

// Numbers of rows.h, program.h and classify.h in bpf/lookup that are no enumerators.
const (
	OpWire     = 0x80     // OpFact: the number is as on the wire
	RowNumber  = 0xffffff // an entry's row
	BucketTag  = 0x80     // in every tag of a bucket
	IndexSlack = 64       // words behind the index that a read may touch
	ClassDepth = 12       // how deep classified chains may call each other
)

// FuncClassify runs a classified chain: R3 is its number; the result is that of chain.
const FuncClassify = "classify"
