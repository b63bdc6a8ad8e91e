//! Words that are too common to name a repository by themselves.

/// Ordinary words and terms of software, in alphabetical order. A name made of nothing else is not distinctive.
const WORDS: &str = "\
    a about above access account accounts action actions active ad add admin after again agent agents air alert \
    alerts all alpha an analytics and android answer any apache api apis app application applications apps archive \
    are art as asset assets async at audit auth auto automation aware awesome back backend backends backup bad bar \
    base based basic batch be benchmark benchmarks best beta better big bin binary bit black blank blob block blog \
    blue board body book boot bot bots box branch bridge broken browser bug bugs build builder building built bulk \
    bundle bundler business by cache call can card case catalog central chain change changes channel chart charts \
    chat check checker checkout checks ci class clean clear cli click client clients clone close cloud cluster code \
    codec cold color command commands comment commit common community compat compiler compose config configs \
    configuration connect connector console contact container containers content control controller cookie copy core \
    counter course cover crash create cron cross css csv current custom customer cut daemon dark dashboard data \
    database date day db dead debug deep default delete demo demos dependency deploy deployment design desktop \
    detail dev devel develop developer developers development device devops diff digital dir direct directory disk \
    display distributed do doc docker docs document documentation documents domain done down download draft driver \
    drop dry dual dump dynamic e early easy edge edit editor email emails embed ember empty encoder end endpoint \
    engine enterprise entry env environment error errors etc etl event events ever example examples exchange exe \
    exec export extension external extra factory fail failing false fast feature features fetch field file files \
    filter final find first fix fixed fixes fixture fixtures flag flow folder follow font for force fork form format \
    forms foundation frame framework free friendly from front frontend full function functional functions future \
    game gateway gen general generate generated generator get git github global go good grade graph graphql green \
    grid group grpc guard guide guides half hand handbook handler hard hash head headless health hello help helper \
    helpers high history home hook hooks host hosted hot html http https hub human icon icons id idea if image \
    images import improve in index info infra infrastructure init inline inner input install installer integration \
    integrations interface internal into invoice invoices io ios is issue issues it java javascript job jobs js json \
    just keep kernel key keys kind kit known kube kubernetes lab labs lambda landing language large last late launch \
    layer layout lazy learn left legacy less level lib libraries library license life light like line link linked \
    lint linter linux list lists lite live load loader local lock log logger logging login logs long look loop low \
    mac machine mail main maintenance make manage management manager manual map markdown marketing master match \
    matrix max me media member menu merge message messages meta metric metrics micro middle middleware migrate \
    migration migrations min mini mobile mock mocks mode model models modern module modules mongo monitor monitoring \
    mono monorepo more most multi my name native near net network new news next nice nightly no node non normal not \
    note notes notification notifications now npm null object observability of off office offline ok old on once one \
    online only open operator ops option options or order orders org origin os other our out outer output over \
    overview own owner pack package packages page pages paid panel parent parse parser part parts party pass \
    password past paste patch path pay payment payments per performance person personal phone php pick pipeline \
    place plan platform play playground plugin plugins point policy pool pop portal portfolio ports post postgres \
    power pre preset preview price primary print private pro process processor prod product production profile \
    program project projects prompt proof proposal prototype provider proxy public pull push py python quality query \
    queue quick quote raw re react read reader readme ready real rebuild record red redirect redis reference refs \
    register registry release releases remote remove render repair repo report reporting reports repos repositories \
    repository request requests research reset resource resources response rest result results return reverse review \
    right roadmap role roll root route router routes ruby rule rules run runner running runtime rust safe sale sales \
    same sample samples sandbox save scaffold scale schema schemas scope script scripts sdk search second secret \
    secrets secure security seed self send server serverless servers service services session set setting settings \
    setup shared shell shop short show side sign simple single site sites size skeleton slack slim slow small smart \
    snapshot so social socket software solid some source sources space spec specs spike split spring sql stable \
    stack staff stage staging standalone standard start starter state static stats status step stop storage store \
    storefront story stream string strong structure studio style styles sub subscription suite super support svc \
    swift switch sync system systems table tag task tasks team teams tech temp template templates terminal terraform \
    test tested tester testing tests text the theme themes then thin thing third this thread three through ticket \
    tickets time to todo token tool toolbox toolchain toolkit tools top trace tracker tracking trade train training \
    transfer tree true try turn tutorial two type typed types typescript ui under unit up update updates upload \
    upper url usage use used user users util utilities utility utils ux v value vendor version via video view views \
    virtual voice vue wait warm watch way we web webapp webhook webhooks website websites week well what white who \
    wide widget widgets wiki win window windows wire with word words work worker workers workflow workflows working \
    workspace workspaces world wrapper write x xml yaml year yes you your zero zip zone";

/// True for a word of the list, in lower case.
pub(super) fn is_common(word: &str) -> bool {
    WORDS.split_ascii_whitespace().any(|common| common == word)
}
