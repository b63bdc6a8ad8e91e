//! Words that are too common to name a repository by themselves.

/// Ordinary words, terms of software and products, in alphabetical order. A name made of nothing else is not distinctive.
const WORDS: &str = "\
    a abort about above absolute academy accept acceptance access account accounts action actions active ad adapter \
    adapters adaptive add address admin affiliate after again agenda agent agents aggregate aggregator agile air album \
    alert alerts algorithm algorithms alias all allocation allow alpha an analytics anchor and android animation \
    announcement anonymous answer any apache api apis app application applications appointment approval apps archive are \
    area array arrow art article articles artifact artifacts as assembly assessment asset assets assignment assistant \
    associate async at atlas attachment attachments attendance attribute audit auth authentication author authorization \
    auto autocomplete automation avatar aware awesome back backend backends backup bad badge balance balancer balancing \
    bank banking banner bar barcode base based basic basket batch be beacon bearer bell benchmark benchmarks best beta \
    better bid bidding big bin binary binding biometric birthday bit bitcoin black blank blob block blog blue blueprint \
    board body book booking bookmark bookmarks boot bot bots boundaries boundary box branch brand breadcrumb breaker \
    breakpoint bridge brief broadcast broken broker browser bucket buckets budget buffer bug bugs build builder building \
    built bulk bundle bundler bus business button buttons buy buyer by bytes cache calculation calculator calendar call \
    callback camera campaign can cancel cancellation candidate capacity captcha caption capture card caret carousel \
    carrier cart carts case cash catalog categories category ceiling cell central certificate certificates chain change \
    changes channel chart charts chat chatbot check checkbox checker checklist checkout checkpoint checks child choice \
    chunk ci circuit claim claims class classifier clean clear cli click clickhouse client clients clipboard clock clone \
    close closed cloud cluster coach cockroach code codec cold collection collections collector color column columns \
    combat command commands comment commit common community compare comparison compat compiler completion component \
    components compose compression concurrency condition conference config configs configuration confirmation conflict \
    connect connection connections connector consent console consumer consumers contact container containers content \
    contest context contract contracts control controller conversation conversion converter cookie coordinator copy core \
    corner correction cost costs count counter country coupon coupons course cover crash create credential credentials \
    credit crew critical cron cross cryptography css csv current cursor curve custom customer customers cut cutter cycle \
    daemon damage dark dashboard data database date day db dead deadline deal dealer debit debug decimal decision \
    decoder deep default defect definition delay delete delivery delta demand demo demos dependency deploy deployment \
    depth design desk desktop detail detection detector dev devel develop developer developers development device devops \
    dialog dictionary diff digital dimension dir direct directory discount discovery discussion disk dispatch dispatcher \
    display distance distributed distribution division do doc dock docker docs document documentation documents domain \
    done dot down download draft drag drawer driver drop dropdown dry dual due dump duplicate duration dynamic dynamo e \
    early easy ecommerce edge edit editor education elastic elasticsearch election element elements ellipsis email \
    emails embed ember emergency emoji employee employees empty encoder encryption end endpoint energy engine enrollment \
    enterprise entry enum env environment equipment error errors escape escrow estimate etc etl evaluation event events \
    ever exam example examples exception exceptions exchange exe exec execution executor expense expenses experience \
    expiration expiry explorer export exporter expression extension external extra face facet factor factory fail \
    failing failover failure fallback false family faq fast favorite feature features fee feed feedback feeds fees fetch \
    fetcher field file files filter final finance financial find finder finger fingerprint firewall first fit fix fixed \
    fixes fixture fixtures flag flags flash flask fleet flight float floor flow focus folder follow font food foot \
    footer for force forecast fork form format formatter forms formula forum forward foundation fraction frame framework \
    fraud free frequency friend friendly from front frontend fuel fulfillment full function functional functions fund \
    funds future fuzzy gallery game gap garbage gate gateway gen general generate generated generator get gift git \
    github glass global go goal goals good goods gorm grade gradient graph graphql green grid gross group growth grpc \
    guard guest guide guides half hand handbook handle handler handlers handshake hard hash head header headers headless \
    health heart heartbeat heat hello help helper helpers hero hidden hierarchy high highlight hint history holiday home \
    hook hooks horizontal host hosted hot hotel hour house housing html http https hub human icon icons id idea \
    identifier identity if image images implicit import importer improve in inbox incident incidents income increment \
    indent index indicator industry info infra infrastructure ingestion ingress inherit init injection inline inner \
    input insight insights inspection inspector install installer instance instances instant insurance intake \
    integration integrations intent interceptor interest interface internal interval interview into inventory invitation \
    invite invites invoice invoices io ios is issue issues it item items java javascript jenkins jira job jobs journal \
    journey js json just kafka keep kernel key keyboard keys keyword kibana kind kiosk kit known kube kubernetes lab \
    label labels labs lambda landing language large last late latency launch layer layout lazy lead leaderboard leads \
    leak learn learner learning leave ledger left legacy legal length less lesson letter level levels liability lib \
    libraries library license life lifecycle light like limit limiter limits line link linked linking lint linter linux \
    liquid list listener listing listings lists lite live load loader loan loans local localization location locations \
    locator lock locking log logger logging login logs long look lookup loop low loyalty lucene lunch mac machine macro \
    magic magnet mail mailbox mailer main maintenance make manage management manager manual map mapper mapping maps \
    margin maria mariadb mark markdown marketing marketplace markup mask master match math matrix max me meal media \
    medical meeting member members membership memory menu merchant merge merger mesh message messages meta method metric \
    metrics micro middle middleware migrate migration migrations milestone min mini minimum mint minute mirror mission \
    mix mobile mock mocks modal mode model models moderation modern modifier module modules money mongo mongodb monitor \
    monitoring mono monorepo month monthly more mortgage most motion mouse move movie multi music mutation mutex my \
    mysql name namespace native navbar navigation near nest net netty network new news newsletter next nice nightly no \
    node non normal not note notes notification notifications now npm null nullable number numbers numpy object \
    observability observer occupancy of off offer offers office offline offset ok old on onboarding once one online only \
    open openssl operation operations operator ops opt optimization optimizer option options or orchestrator order \
    orders org organization organizer origin os other our out outage outbox outcome outer outline output over overflow \
    overlay overview own owner owners pack package packages packing padding page pager pages pagination paginator paid \
    pair pandas panel paper paragraph parallel parameter parameters parent parking parse parser part participant partner \
    partners parts party pass passenger passkey password passwordless past paste patch path patient patients pattern pay \
    payload payment payments payout payouts payroll peer pending per percent percentage performance period permission \
    permissions persistence person personal pet pharmacy phase phone photo photos php pick picker picture pie pin \
    pipeline pixel place placeholder plan plane planner planning plate platform play player playground playlist plugin \
    plugins podcast point pointer policy polling pool pop popover popup portal portfolio ports position post postgre \
    postgres postgresql posting power pre prediction preference preferences preload premium presence presentation \
    presenter preset prevention preview price pricing primary print printer priority privacy private pro procedure \
    process processor prod producer product production professional profile program progress project projects prometheus \
    promise promo promotion prompt proof properties property proposal protection protocol prototype provider \
    provisioning proxy public publisher publishing pull purchase purchases purge push py pytest python pytorch quality \
    quantity query queue quick quiz quota quotas quote quotes rabbit rabbitmq race radio rail rails random range ranking \
    rate rates rating ratings ratio raw re react reaction reactive read reader readiness readme ready real rebuild \
    receipt receipts receiver recipe recommendation reconciliation record recovery recurring red redirect redis reducer \
    reference referral refresh refs refund refunds region register registration registry regression relation relay \
    release releases reload reminder reminders remote remove render renderer renewal rental rentals repair replica \
    replication reply repo report reporter reporting reports repos repositories repository request requests research \
    reservation reservations reset resize resolution resolver resource resources response responsive rest restaurant \
    restore result results resume retail retention retry return returns revenue reverse review reward rewards ride rider \
    right ring roadmap robot role roll rollback rollout room rooms root rotation round route router routes row rows ruby \
    rule rules run runner running runtime rust safe safety salary sale sales same sample sampler samples sampling \
    sandbox sanitizer save scaffold scale scan scanner scene scheduled scheduler scheduling schema schemas school scope \
    score scoring scraper screen screens script scripts scroll sdk seal search seat seats second secret secrets section \
    sections secure security seed seeder seek segment segments select selection selector self sell seller sellers \
    semantic send sensor sentence sequence serial serializer series server serverless servers service services session \
    set setting settings setup shared sharing sheet shell shift shipment shipments shipping shop shopping short shortcut \
    shortener show side sidebar sign signal signature signatures signing signup silent simple single site sitemap sites \
    size skeleton skill skills skip slack slider slim slot slots slow slug small smart smoke snapshot snippet snippets \
    so social socket software solid some sort sorting sound source sources space spam spec specs speech speed spike \
    spinner splash split spring sprint sql sqlalchemy sqlite square ssl sso stable stack staff stage staging stale stamp \
    standalone standard star start starter state static stats status step steps sticker sticky stop storage store \
    storefront story strategy stream streaming string stripe strong structure structured stub student students studio \
    style styles sub subject submission subscribe subscriber subscribers subscription subscriptions suggestion \
    suggestions suite summary super supplier suppliers supply support survey surveys svc swap swift swipe switch symbol \
    sync synchronization syntax synthetic system systems tab table tabs tag tail target tariff task tasks tax taxes team \
    teams tech temp template templates tenant tenants tensor tensorflow term terminal terms terraform test tested tester \
    testing tests text the theme themes then thermal thin thing third this thread three threshold throttle throttling \
    through thumbnail thumbnails tick ticker ticket tickets tier time timeline timeout timeouts timer timesheet \
    timestamp timezone tip tips title to toast todo toggle token tool toolbox toolchain toolkit tools tooltip top topic \
    topics torch total totals touch tour tours tower toy trace track tracker tracking trade traffic trail train training \
    transaction transactions transcript transfer transform transformer transition translation translations transport \
    trash travel tree trigger triggers trip trips true trust try tube tuning tunnel turn tutorial tweet two type typed \
    types typescript ui under undo unique unit unread unsubscribe up update updates upload upper uptime urgent url usage \
    use used user users util utilities utility utils utm ux v vacation validation validator validators value variable \
    variables variant variants vehicle vehicles vendor vendors venue verification version vertical via video view viewer \
    viewers views virtual visibility visit visitor visitors visual voice volume voter voting voucher vouchers vue wage \
    wait waiting waitlist wallet wallets warehouse warm warning warnings warranty watch watcher watchlist way we weather \
    web webapp webhook webhooks website websites wedding week weekly weight welcome well what whatsapp white whiteboard \
    who wide widget widgets wiki win window windows wire wishlist with wizard word wordpress words work workbench worker \
    workers workflow workflows working workout workspace workspaces world wrapper write x xml yaml year yes yield you \
    your youtube zero zip zone";

/// True for a word of the list, in lower case.
pub(super) fn is_common(word: &str) -> bool {
    WORDS.split_ascii_whitespace().any(|common| common == word)
}
